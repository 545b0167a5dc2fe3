"""Open a slide, read its pyramid and tiles, know its scale, tissue and colour."""

from napari_cyto.slides._focal_planes import FocalPlanes
from napari_cyto.slides._levels import LevelArray, as_dask, pyramid
from napari_cyto.slides._open_any import open_slide
from napari_cyto.slides._tile_cache import TileCache, pass_cache, shared_cache
from napari_cyto.slides.fingerprint import fingerprint, fingerprint_as_annotated, same_files, slide_bytes
from napari_cyto.slides.slide import Slide, UnreadableTile
from napari_cyto.slides.slide_info import SlideInfo, believe_mpp
from napari_cyto.slides.tissue import thumbnail, tissue_bounds_yxyx, tissue_mask

__all__ = [
    "FocalPlanes",
    "LevelArray",
    "Slide",
    "SlideInfo",
    "TileCache",
    "UnreadableTile",
    "as_dask",
    "backend",
    "believe_mpp",
    "bright_field",
    "colour",
    "fingerprint",
    "fingerprint_as_annotated",
    "image_backend",
    "native_child",
    "nuclear_scale",
    "open_slide",
    "pass_cache",
    "pixel_source",
    "progressive_read",
    "pyramid",
    "same_files",
    "scaled_read",
    "shared_cache",
    "sharpness",
    "slide",
    "slide_bytes",
    "slide_info",
    "stain",
    "survey",
    "synthetic_levels",
    "thumbnail",
    "tiff_writer",
    "tissue",
    "tissue_bounds_yxyx",
    "tissue_mask",
]
