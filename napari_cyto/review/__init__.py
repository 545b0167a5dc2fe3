"""Which predictions are reviewed, in which order, and what the review shows about those nobody read."""

__all__ = [
    "ambiguity",
    "control_cells",
    "local_calibration",
    "order",
    "prediction_table",
    "predictions",
    "query",
    "slide_risk",
]
