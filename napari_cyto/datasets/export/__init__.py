"""Data sets out of a project."""

__all__ = [
    "apacc",
    "cells",
    "export_manifest",
    "job",
    "label_images",
    "labels",
    "preview",
    "slice_writer",
]
