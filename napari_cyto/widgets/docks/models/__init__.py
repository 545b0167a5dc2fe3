"""Dock Models."""

__all__ = [
    "dock",
]
