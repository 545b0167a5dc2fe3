"""Dock Export."""

__all__ = [
    "dock",
]
