"""Backups, checks, and getting back what a damaged database still holds."""

__all__ = [
    "background_check",
    "backup_keeper",
    "backups",
    "checked_files",
    "damage_message",
    "integrity",
    "maintenance",
    "raw_pages",
    "restore",
]
