"""The database itself: SQLite or PostgreSQL, its tables, its creation, its migration, and whether its file
is still the one that was opened.
"""

__all__ = [
    "connection",
    "creation",
    "inspection",
    "links",
    "log_owner",
    "migration",
    "open_project",
    "place",
    "project_row",
    "raw_read",
    "schema",
    "schema_check",
    "sqlite",
    "stamp",
]
