"""Data sets out of a project."""

__all__ = [
    "apacc",
    "cells",
    "export_manifest",
    "job",
    "labels",
    "preview",
    "slice_writer",
]
