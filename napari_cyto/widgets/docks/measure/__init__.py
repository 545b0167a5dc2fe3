"""Dock Measure: the measured cells as a table, a histogram and a scatter."""

__all__ = [
    "dock",
]
