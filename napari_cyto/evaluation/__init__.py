"""What a model is worth: matching, detection, classification, screening, calibration, proliferation."""

__all__ = [
    "bundle_scores",
    "calibration",
    "class_maps",
    "classification",
    "classifier_scores",
    "comparison",
    "config",
    "detected_field",
    "detection",
    "detector_scores",
    "evaluation_result",
    "grid_table",
    "ki67",
    "matching",
    "model_answers",
    "scored_cells",
    "scores",
    "screening",
    "training_overlap",
    "views",
]
