"""Readings: a second, blind pass of a reader over slides or given cells, in a project of its own."""

__all__ = [
    "assignment",
    "course",
    "given_cells",
    "reading",
    "reading_results",
]
