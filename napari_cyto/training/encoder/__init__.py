"""Learning an encoder without labels: patches in, a network that gives a vector a cell out."""

__all__ = [
    "encoder_task",
    "lightly_installed",
]
