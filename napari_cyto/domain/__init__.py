"""Plain values that every other part speaks: geometry, classes, annotations, edits, slides, jobs."""

__all__ = [
    "adequacy",
    "annotation",
    "annotation_rows",
    "annotation_source",
    "classes",
    "coverage",
    "decision_rule",
    "edits",
    "fingerprints",
    "geometry",
    "image_header",
    "image_names",
    "known_area",
    "label_set",
    "option_fields",
    "presets",
    "quantities",
    "resources",
    "slide_record",
    "tiff_layout",
]
