"""The one way from pixels to cells: tiles, network, merging, at the same time."""

__all__ = [
    "detect",
    "distributed",
    "pipeline",
    "plan",
    "search",
    "tile_grid",
    "tile_memory",
]
