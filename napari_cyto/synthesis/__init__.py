"""Synthetic smears with exact truth."""

from napari_cyto.domain.places import user_cache_dir
from napari_cyto.synthesis.cache import MadeSmear, obtain_smear
from napari_cyto.synthesis.demo import DEMO_SIZE_PX, DemoSmear, demo_smear, demo_specs
from napari_cyto.synthesis.layout import Smear, SmearSpec, lay_out
from napari_cyto.synthesis.truth import CellTruth, RubbishTruth, SmearTruth

__all__ = [
    "DEMO_SIZE_PX",
    "CellTruth",
    "DemoSmear",
    "MadeSmear",
    "RubbishTruth",
    "Smear",
    "SmearSpec",
    "SmearTruth",
    "demo_smear",
    "demo_specs",
    "lay_out",
    "obtain_smear",
    "user_cache_dir",
]
