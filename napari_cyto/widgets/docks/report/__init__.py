"""Dock Report."""

__all__ = [
    "dock",
]
