"""Files that appear whole or not at all, safe names, locks, and the folders of a user."""

__all__ = [
    "atomic",
    "csv_table",
    "disk_files",
    "lock",
    "processes",
    "reader",
    "replacement",
    "safe_names",
    "special_files",
    "user_choices",
    "user_folders",
]
