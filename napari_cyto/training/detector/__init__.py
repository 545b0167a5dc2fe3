"""Training of cell detectors: tiles, batches, validation."""

__all__ = [
    "detector_task",
]
