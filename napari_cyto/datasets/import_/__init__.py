"""Labels of other programs into a project, and which slide each belongs to."""

__all__ = [
    "classes",
    "interpretation_table",
    "job",
    "known_slides",
    "label_source",
    "relink",
    "slide_match",
    "source_kind",
]
