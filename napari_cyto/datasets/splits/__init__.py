"""Training, validation and test sets that share no patient, smear or slide."""

__all__ = [
    "config",
    "export_split",
    "leaks",
    "split",
    "split_slides",
    "training_split",
]
