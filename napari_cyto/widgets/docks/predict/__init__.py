"""Dock Predict."""

__all__ = [
    "dock",
]
