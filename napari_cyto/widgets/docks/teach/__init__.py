"""Dock Teach."""

__all__ = [
    "dock",
]
