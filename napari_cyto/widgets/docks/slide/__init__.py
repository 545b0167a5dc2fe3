"""Dock Slide."""

__all__ = [
    "dock",
]
