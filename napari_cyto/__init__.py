"""napari-cyto: mark cells on whole-slide Pap smears, review proposals, leave with a dataset."""

__version__ = "0.1.0"
