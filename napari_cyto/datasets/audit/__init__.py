"""Whether anything leaks from training to test, and what is wrong with the labels."""

__all__ = [
    "crop_prints",
    "job",
    "near_duplicates",
    "report",
    "subject",
]
