"""Synthetic smears with exact truth."""

from napari_cyto.files.user_folders import user_cache_dir
from napari_cyto.synthesis._cache import MadeSmear, obtain_smear
from napari_cyto.synthesis._demo import DEMO_SIZE_PX, DemoSmear, demo_smear, demo_specs
from napari_cyto.synthesis._layout import Smear, SmearSpec, lay_out
from napari_cyto.synthesis._truth import ArtefactTruth, CellTruth, SmearTruth

__all__ = [
    "DEMO_SIZE_PX",
    "ArtefactTruth",
    "CellTruth",
    "DemoSmear",
    "MadeSmear",
    "Smear",
    "SmearSpec",
    "SmearTruth",
    "demo_job",
    "demo_smear",
    "demo_specs",
    "job",
    "lay_out",
    "obtain_smear",
    "outlined_fields",
    "user_cache_dir",
]
