"""Dock Review."""

__all__ = [
    "dock",
]
