"""Where files lie that belong to a user rather than to a project."""

from napari_cyto.domain.places import DATA_VARIABLE, user_data_dir

__all__ = ["DATA_VARIABLE", "user_data_dir"]
