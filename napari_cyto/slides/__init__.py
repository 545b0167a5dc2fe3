"""Open a slide, read its pyramid and tiles, know its scale, tissue and colour."""

from napari_cyto.slides.fingerprint import fingerprint, same_files, slide_bytes
from napari_cyto.slides.levels import LevelArray, as_dask, pyramid
from napari_cyto.slides.opening import open_slide
from napari_cyto.slides.slide import Slide, UnreadableTile
from napari_cyto.slides.slide_info import SlideInfo, believe_mpp
from napari_cyto.slides.tile_cache import TileCache, shared_cache
from napari_cyto.slides.tissue import thumbnail, tissue_bounds_yxyx, tissue_mask

__all__ = [
    "LevelArray",
    "Slide",
    "SlideInfo",
    "TileCache",
    "UnreadableTile",
    "as_dask",
    "believe_mpp",
    "fingerprint",
    "open_slide",
    "pyramid",
    "same_files",
    "shared_cache",
    "slide_bytes",
    "thumbnail",
    "tissue_bounds_yxyx",
    "tissue_mask",
]
