"""Dock Readings."""

__all__ = [
    "dock",
]
