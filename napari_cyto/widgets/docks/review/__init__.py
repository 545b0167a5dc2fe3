"""Dock Review."""

__all__ = [
    "dock",
    "gallery",
    "list_model",
]
