"""Training sets: labelled cells of many sources in one class scheme."""

__all__ = [
    "annotated_area",
    "crop_cache",
    "image_set",
    "labelled_slide",
    "scheme",
    "set_fingerprint",
    "sources",
    "training_set",
]
