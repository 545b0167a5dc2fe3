"""Long work: events, stopping, child processes, run folders, priorities; it knows nothing of slides or cells."""

__all__ = [
    "allocator",
    "child",
    "detached_process",
    "events",
    "limited_program",
    "outcome",
    "priority",
    "progress",
    "run_folder",
    "watched_call",
]
