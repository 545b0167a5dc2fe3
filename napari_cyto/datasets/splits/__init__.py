"""Training, validation and test sets that share no patient, smear or slide."""

__all__ = [
    "config",
    "groups",
    "leaks",
    "split",
    "training_split",
]
