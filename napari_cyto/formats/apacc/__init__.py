"""APACC: slices of 2000 x 2000 px with one label file each, and crops per class."""

__all__ = [
    "label_format",
    "label_lines",
    "losses",
    "names",
    "slices",
    "smear_names",
]
