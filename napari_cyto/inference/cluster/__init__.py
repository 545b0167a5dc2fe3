"""Worker processes of this machine or of a dask cluster, and what they are given."""

__all__ = [
    "chunks",
    "pool",
    "workers",
]
