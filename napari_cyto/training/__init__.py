"""Training configs, recipes and runs; torch is imported by the run alone."""

__all__ = [
    "box_task",
    "classifier_task",
    "config",
    "cross_fitting",
    "cross_validation",
    "fcrn_task",
    "grid_job",
    "point_task",
    "preview",
    "recipes",
    "request",
    "run",
    "run_settings",
    "run_state",
    "run_watch",
]
