"""A vector for every cell, kept beside the project, and what follows from it without a network."""

from napari_cyto.vectors._project_vectors import (
    CellPlaces,
    CellVectors,
    cell_places,
    cell_vectors,
    cells_with_vectors,
    open_vectors,
    vector_kinds,
    vectors_folder,
)
from napari_cyto.vectors._score_changes import changes_since, digest_of
from napari_cyto.vectors._slide_scores import (
    SCORE_HIDDEN,
    SCORE_NOTICE,
    Attention,
    SlideScore,
    attention_of,
    keep_score,
    scores_of,
)
from napari_cyto.vectors._vector_file import Lacking, VectorFile, VectorFileError, VectorKind

__all__ = [
    "SCORE_HIDDEN",
    "SCORE_NOTICE",
    "Attention",
    "CellPlaces",
    "CellVectors",
    "Lacking",
    "SlideScore",
    "VectorFile",
    "VectorFileError",
    "VectorKind",
    "attention_of",
    "cell_facts",
    "cell_map",
    "cell_places",
    "cell_vectors",
    "cells_with_vectors",
    "changes_since",
    "digest_of",
    "keep_score",
    "label_errors",
    "neighbours",
    "open_vectors",
    "scores_of",
    "vector_kinds",
    "vectors_folder",
]
