"""Dock Annotate."""

__all__ = [
    "dock",
    "tool_row",
]
