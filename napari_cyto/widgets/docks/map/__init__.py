"""Dock Map."""

__all__ = [
    "dock",
]
