"""Data sets of images with their labels, as detectors are trained from them."""

__all__ = [
    "image_options",
    "job",
]
