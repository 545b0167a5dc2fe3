"""What the last layer of a vision transformer attends to on cells, laid over their crops; a job."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.datasets.colour_match import match_for
from napari_cyto.domain.annotation import Annotation
from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import atomic_file
from napari_cyto.inference.embed.encode import crop_rule_of
from napari_cyto.inference.network_input import as_input
from napari_cyto.jobs.events import Advanced, Done, Events, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.library import bundle_named
from napari_cyto.models.onnx_network import is_onnx
from napari_cyto.slides import open_slide
from napari_cyto.store import Project
from napari_cyto.vectors import vector_kinds

RGB = npt.NDArray[np.uint8]

MEANING = "It shows where the encoder looked, not why, and not whether the cell is abnormal."
FULL_TINT = 3.0
"""Times its even share from which a patch is fully tinted, unless another has more."""

HARDLY = 1.5
"""Times its even share below which the most attended patch is not worth the name."""

_LIME = (190, 255, 0)
_DARKENED, _TINTED = 0.75, 0.6


class AttentionOptions(BaseModel):
    """Whose attention is shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str = Field(
        default="",
        title="Encoder",
        description="A vision transformer: its name in the model library, or its folder. Empty: that of the newest "
        "vectors of the project.",
    )
    device: str = Field(default="auto", title="Device", description="auto, cpu, cuda or cuda:1.")


@dataclass(frozen=True, slots=True)
class CellAttention:
    """What an encoder attends to on a cell.

    Parameters
    ----------
    id : str
        The cell.
    crop : ndarray, uint8, RGB (s, s, 3)
        What the encoder sees of it: its first window.
    weights : ndarray, float32 (rows, columns)
        Attention of the class token on each patch, mean of the heads; what is missing to 1 is on the tokens that are
        no patches.
    """

    id: str
    crop: RGB = field(compare=False, repr=False)
    weights: npt.NDArray[np.float32] = field(compare=False, repr=False)

    @property
    def most(self) -> float:
        """How many times its even share the patch has that is attended most."""
        return float(self._times.max())

    @property
    def _times(self) -> npt.NDArray[np.float32]:
        """How many times its even share each patch has."""
        return self.weights * (self.weights.size / max(float(self.weights.sum()), 1e-12))

    def overlaid(self) -> RGB:
        """Return the crop with the attention over it: darker where it is below its even share, lime above.

        Attention that is spread evenly leaves the crop as it is; the full tint is `FULL_TINT` times the even share, or
        what the most attended patch has where that is more.
        """
        rows, columns = self.crop.shape[:2]
        smooth = Image.fromarray(self._times.astype(np.float32)).resize((columns, rows), Image.Resampling.BILINEAR)
        at = np.asarray(smooth, np.float32)[..., None]
        below, above = np.clip(1 - at, 0, 1), np.clip((at - 1) / (max(self.most, FULL_TINT) - 1), 0, 1)
        lit = self.crop * (1 - _DARKENED * below)
        made: RGB = (
            ((1 - _TINTED * above) * lit + _TINTED * above * np.array(_LIME, np.float32)).round().astype(np.uint8)
        )
        return made


@dataclass(frozen=True, slots=True)
class AttentionMaps:
    """What an encoder attends to on cells of a project.

    Parameters
    ----------
    encoder, sha256 : str
        The encoder's id, and the hash of its weights.
    heads : int
        Heads of its last layer.
    window : str
        How wide a crop is, in words.
    cells : tuple of CellAttention
        In the order asked for.
    """

    encoder: str
    sha256: str
    heads: int
    window: str
    cells: tuple[CellAttention, ...]

    def words(self, cell: CellAttention) -> str:
        """What a person reads beside the images of a cell."""
        rows, columns = cell.weights.shape
        even = ", so it prefers hardly any place" if cell.most < HARDLY else ""
        return (
            f"Attention of the last layer of {self.encoder}, mean of {self.heads} heads, on {rows} × {columns} patches "
            f"of {self.window}; the most attended has {cell.most:.1f} times its even share{even}. {MEANING}"
        )


def side_by_side(cell: CellAttention, px: int) -> RGB:
    """Return the crop of a cell, and beside it the crop with the attention over it, each ``px`` wide."""
    parts = [Image.fromarray(each).resize((px, px), Image.Resampling.BICUBIC) for each in (cell.crop, cell.overlaid())]
    joined: RGB = np.hstack([np.asarray(part, np.uint8) for part in parts])
    return joined


def write_image(cell: CellAttention, out: Path, px: int = 448) -> None:
    """Write both as a PNG of twice ``px`` by ``px``.

    Raises
    ------
    FormatError
        When the place cannot be written, or another kind of file is there.
    """
    with atomic_file(out) as temporary:
        Image.fromarray(side_by_side(cell, px)).save(temporary, format="PNG")


def attention_of_cells(
    place: Path, cell_ids: Sequence[str], options: AttentionOptions, token: Token | None = None
) -> Events:
    """Lay an encoder's attention over the crops of cells; a job.

    Parameters
    ----------
    place : Path
        The project.
    cell_ids : sequence of str
        Cells.
    options : AttentionOptions
        Whose attention.
    token : Token, optional
        Asks to stop.

    Yields
    ------
    Event
        The last one is ``Done`` with `AttentionMaps`, ``Cancelled`` or ``Failed``; so where the encoder is no vision
        transformer.
    """
    yield from ending_once(_steps(place, cell_ids, options, token))


def _steps(place: Path, cell_ids: Sequence[str], options: AttentionOptions, token: Token | None) -> Steps:
    import torch

    with Project.open(place) as project:
        encoder = _encoder(project, options.encoder)
        network = _network(encoder, options.device)
        rule, by_slide = crop_rule_of(encoder), defaultdict[str, list[Annotation]](list)
        for cell_id in cell_ids:
            cell = project.annotation(cell_id)
            if cell is None or cell.is_region:
                raise CytoError(f"Expected a cell of {project.name}, got {cell_id!r:.80}, which is none of its cells.")
            by_slide[cell.slide_id].append(cell)
        found: dict[str, CellAttention] = {}
        heads = 0
        for slide_id, cells in by_slide.items():
            record = project.slide(slide_id)
            with open_slide(project.slide_path(record)) as slide:
                mpp = record.mpp if record.mpp is not None else slide.info.mpp
                colour = match_for(slide, encoder.manifest.colour, rule.icc)
                for cell in cells:
                    stop_if_cancelled(token)
                    yield Advanced(len(found), len(cell_ids), record.name)
                    crop = rule.cut(slide, [cell.geometry.centre_yx], mpp, colour)
                    taken = as_input(crop, encoder.manifest.normalisation)
                    with torch.inference_mode():
                        maps = network.attention(taken.to(next(network.parameters()).device))[0].float().cpu().numpy()
                    if not np.isfinite(maps).all():
                        raise CytoError(f"{encoder.id}: its attention is not finite; verify the model.")
                    heads = len(maps)
                    found[cell.id] = CellAttention(cell.id, crop[0, 0], maps.mean(axis=0).astype(np.float32))
    unit = f"{rule.windows[0]:g} {'µm' if rule.unit == 'um' else 'px'}"
    cells_found = tuple(found[cell_id] for cell_id in dict.fromkeys(cell_ids))
    yield Done(AttentionMaps(encoder.id, encoder.sha256, heads, f"a window of {unit}", cells_found))


def _encoder(project: Project, named: str) -> Bundle:
    if named:
        return bundle_named(named)
    kinds = vector_kinds(project)
    if not kinds:
        raise CytoError(
            f"Expected an encoder, got none, and the cells of {project.name} have no vectors that would name one; add "
            "--encoder NAME."
        )
    encoder = bundle_named(kinds[0].encoder)
    if encoder.sha256 != kinds[0].sha256:
        raise CytoError(
            f"Expected the encoder {encoder.id} ({kinds[0].sha256[:12]}...) of the project's vectors, got another one "
            f"of this name ({encoder.sha256[:12]}...); make the vectors anew, or name an encoder."
        )
    return encoder


def _network(encoder: Bundle, device: str) -> Any:
    """Return the network of an encoder that can say what it attends to.

    Raises
    ------
    CytoError
        When it is no encoder, or no vision transformer with a class token.
    """
    from napari_cyto.inference.runtimes.devices import chosen_device

    crop_rule_of(encoder)
    backbone = encoder.manifest.settings.get("backbone", "")
    network = None if is_onnx(encoder.manifest) else encoder.load_network(str(chosen_device(device)))
    if network is None or not network.has_attention or network.network.cls_token is None:
        what = "an ONNX graph" if network is None else f"the network {backbone}"
        raise CytoError(
            f"{encoder.id} is {what}, no vision transformer with a class token, so there is no attention to lay over a "
            "crop; `napari-cyto train encoder` trains transformers."
        )
    return network
