"""Dock Train."""

__all__ = [
    "dock",
    "words",
]
