"""Dock Slides."""

__all__ = [
    "backups_dialog",
    "dock",
    "open_paths",
    "scheme_dialog",
]
