"""APACC: slices of 2000 x 2000 px with one label file each, and crops per class."""

__all__ = [
    "apacc_format",
    "label_lines",
    "names",
    "slice_losses",
    "slices",
    "smear_names",
]
