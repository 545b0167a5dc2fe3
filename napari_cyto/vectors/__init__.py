"""A vector for every cell, kept beside the project, and what follows from it without a network."""

from napari_cyto.vectors._project_vectors import (
    CellPlaces,
    CellVectors,
    cell_places,
    cell_vectors,
    open_vectors,
    vector_kinds,
    vectors_folder,
)
from napari_cyto.vectors._vector_file import Lacking, VectorFile, VectorFileError, VectorKind

__all__ = [
    "CellPlaces",
    "CellVectors",
    "Lacking",
    "VectorFile",
    "VectorFileError",
    "VectorKind",
    "cell_places",
    "cell_vectors",
    "open_vectors",
    "vector_kinds",
    "vectors_folder",
]
