"""What a slide is made of for a model of slides: vectors of its cells, or of patches side by side over its tissue."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.colour_match import match_for
from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.domain.counts import counted
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.inference.embed.encode import CellEncoder, crop_rule_of, kind_of
from napari_cyto.jobs.events import Advanced, Token
from napari_cyto.jobs.outcome import stop_if_cancelled
from napari_cyto.models.bundle import Bundle
from napari_cyto.slides import Slide, open_slide
from napari_cyto.slides.tissue import tissue_mask
from napari_cyto.store import Project
from napari_cyto.vectors import VectorFile, VectorKind, cell_vectors, vectors_folder

PATCH_UM = 64.0
"""256 px at 40x, 0.25 µm per px. Source: the patches of CytoFM (Ivezić et al. 2025, section 3.1)."""

_BATCH = 32
_MASK_PX = 2048
_LEAST_TISSUE = 0.1
_FOLDER = "patches"


@dataclass(frozen=True, slots=True)
class Bag:
    """A slide as a model of slides sees it.

    Parameters
    ----------
    slide_id, name : str
        Which slide.
    ids : tuple of str
        The cells' ids, or ids made of the patches' places.
    centres_yx : ndarray, float64 (n, 2)
        Level-0 px.
    vectors : ndarray, float32 (n, length)
        By the frozen encoder.
    without : int
        Cells that have no vector, or patches that were not taken, and so are not looked at.
    """

    slide_id: str
    name: str
    ids: tuple[str, ...]
    centres_yx: npt.NDArray[np.float64]
    vectors: npt.NDArray[np.float32]
    without: int = 0

    def __len__(self) -> int:
        return len(self.ids)


def rule_of(kind: VectorKind) -> CropRule:
    """Return the crop rule of vectors; what follows it in ``kind.crop`` is the target of their colours."""
    value, _ = json.JSONDecoder().raw_decode(kind.crop)
    return CropRule.model_validate(value)


def cell_bag(project: Project, record: SlideRecord, kind: VectorKind) -> Bag:
    """Return the cells of a slide that have a vector of where they lie now; those that a person rejected too.

    Raises
    ------
    CytoError
        When the project has no vectors of this kind.
    """
    found = cell_vectors(project, kind, record.id)
    return Bag(record.id, record.name, found.ids, found.centres_yx, found.vectors.astype(np.float32), found.without)


class PatchReader:
    """Encodes patches of slides, square and side by side, and keeps the vectors beside the project.

    Parameters
    ----------
    project : Project
        Whose slides.
    encoder : Bundle
        The encoder.
    patch_um : float
        Side of a patch, µm.
    most : int
        Patches of a slide; of more, so many are drawn at random, always the same.
    device : str
        As for other networks.

    Raises
    ------
    CytoError
        When the bundle is no encoder of one window.
    """

    def __init__(self, project: Project, encoder: Bundle, patch_um: float, most: int, device: str = "auto") -> None:
        of_cells = crop_rule_of(encoder)
        if len(of_cells.windows) > 1:
            raise CytoError(
                f"Expected an encoder of one window for patches, got {encoder.id} with {len(of_cells.windows)}; train "
                "on cells instead."
            )
        self._project, self._most = project, most
        self.rule = of_cells.model_copy(update={"windows": (patch_um,), "unit": "um"})
        self.kind = kind_of(encoder, self.rule)
        self._encoder = CellEncoder(encoder, device)
        self.remarks = self._encoder.remarks
        self._file = VectorFile(patches_folder(project), self.kind)

    def bag(self, record: SlideRecord, token: Token | None = None) -> Iterator[Advanced | Bag]:
        """Yield how far the encoding is, and the bag last.

        Raises
        ------
        CytoError
            When the slide cannot be read, or its µm per px is unknown.
        """
        with open_slide(self._project.slide_path(record)) as slide:
            mpp = record.mpp if record.mpp is not None else slide.info.mpp
            centres = patch_centres(slide, self.rule.sides_px(mpp, record.name, [slide.info.path])[0])
            total = len(centres)
            if total > self._most:
                chosen = np.sort(np.random.default_rng(0).permutation(total)[: self._most])
                centres = centres[chosen]
            if not len(centres):
                raise CytoError(
                    f"{record.name} shows no tissue of which a patch of {self.rule.windows[0]:g} µm is cut."
                )
            ids = tuple(_patch_id(record.id, y, x) for y, x in centres.tolist())
            lacking = self._file.lacking(ids, [record.id] * len(ids), centres).positions
            colour = match_for(slide, self._encoder.manifest.colour, self.rule.icc)
            for start in range(0, len(lacking), _BATCH):
                stop_if_cancelled(token, "The patches encoded so far are kept.")
                rows = lacking[start : start + _BATCH]
                vectors = self._encoder.vectors(self.rule.cut(slide, centres[rows], mpp, colour), token)
                of = [ids[row] for row in rows.tolist()]
                self._file.add(of, [record.id] * len(of), centres[rows], vectors)
                yield Advanced(start + len(rows), len(lacking), f"{record.name}: {counted(len(lacking), 'patch')}")
        whole = self._file.vectors(self._file.rows_of(ids)).astype(np.float32)
        yield Bag(record.id, record.name, ids, centres, whole, total - len(ids))


def last_bag(steps: Iterator[Advanced | Bag]) -> Generator[Advanced, None, Bag]:
    """Hand on how far the encoding is, and return the bag in which it ends."""
    for step in steps:
        if isinstance(step, Bag):
            return step
        yield step
    raise AssertionError("a reader of patches ends in a bag")


def patches_folder(project: Project) -> Path:
    """Return where the vectors of a project's patches lie, apart from those of its cells."""
    return vectors_folder(project) / _FOLDER


def patch_centres(slide: Slide, side_px: float) -> npt.NDArray[np.float64]:
    """Return the centres (n, 2), level-0 px, of squares side by side that hold tissue and lie half on the slide.

    A square that lies over the edge is kept while at least half of it is on the slide. Source: CytoFM, section 3.1.
    """
    height, width = slide.info.size_hw
    mask = tissue_mask(slide, _MASK_PX)
    step_y, step_x = mask.shape[0] / height, mask.shape[1] / width
    kept = []
    for y0 in np.arange(0, height, side_px):
        for x0 in np.arange(0, width, side_px):
            inside = (min(y0 + side_px, height) - y0) * (min(x0 + side_px, width) - x0) / side_px**2
            rows = slice(int(y0 * step_y), max(int(np.ceil(min(y0 + side_px, height) * step_y)), int(y0 * step_y) + 1))
            columns = slice(
                int(x0 * step_x), max(int(np.ceil(min(x0 + side_px, width) * step_x)), int(x0 * step_x) + 1)
            )
            part = mask[rows, columns]
            if inside >= 0.5 and part.size and part.mean() >= _LEAST_TISSUE:
                kept.append((y0 + side_px / 2, x0 + side_px / 2))
    return np.array(kept, dtype=np.float64).reshape(-1, 2)


def _patch_id(slide_id: str, y: float, x: float) -> str:
    return hashlib.md5(f"{slide_id} {y:.3f} {x:.3f}".encode(), usedforsecurity=False).hexdigest()
