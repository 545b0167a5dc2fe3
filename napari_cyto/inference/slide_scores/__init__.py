"""Scores of whole slides by models that look at all of their cells or patches, and what these looked at."""

__all__ = ["bags", "calibration", "job"]
