"""Architectures and model bundles; torch starts here, and only inside functions that need a network."""

__all__ = [
    "backbones",
    "box_detectors",
    "bundle",
    "card",
    "classifier",
    "false_calls",
    "fcrn",
    "finite_outputs",
    "found_cells",
    "library",
    "manifest",
    "openvino_cache",
    "openvino_export",
    "openvino_library",
    "point_detector",
    "project_models",
    "raw_cells",
    "registry",
    "suitability",
    "torch_installed",
]
