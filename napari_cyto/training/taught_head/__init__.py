"""A head that was taught in clicks, as a classifier that runs wherever classifiers do."""

from napari_cyto.training.taught_head._save import SavedHead, SaveOptions, save_head

__all__ = ["SaveOptions", "SavedHead", "save_head"]
