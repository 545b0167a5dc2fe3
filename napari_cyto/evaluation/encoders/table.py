"""The table of encoders as a value: which encoders, which cells, and every score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_cyto.domain.json_values import JsonFields, to_plain
from napari_cyto.evaluation.encoders._probes import ProbeScores


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedData(JsonFields):
    """One set of cells, in one view of its classes.

    Parameters
    ----------
    source : str
        Without the folders above its own.
    view : str
        ``own classes`` or ``four classes``.
    fingerprint : str
        Of the cells.
    cells : mapping of class id to int
        How many of each class.
    images, groups : int
        How many; groups are patients, else smears, else images, those that show the same cells joined.
    overlapping : int or None
        Pairs of groups that were joined since their images show the same place; None where nobody looked.
    """

    source: str
    view: str
    fingerprint: str
    cells: Mapping[str, int]
    images: int
    groups: int
    overlapping: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedEncoder(JsonFields):
    """Which encoder, and what it costs.

    Parameters
    ----------
    id, sha256, name : str
        Its id, the hash of its weights, the name of its folder.
    length : int
        Numbers of a vector.
    megabytes : float
        Of its weights on disk, 1e6 bytes.
    crops_per_s : float or None
        Of the network alone, on crops in memory, in the runtime below; None where no crop was at hand.
    runtime, licence : str
        What ran it here; what its card says.
    """

    id: str
    sha256: str
    name: str
    length: int
    megabytes: float
    crops_per_s: float | None
    runtime: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BagScores(JsonFields):
    """How well attention over the cells of an image tells positive images; means over splits, and their spread.

    Parameters
    ----------
    label : str
        What a positive image is, in words.
    bags, positive, splits : int
        How many.
    auroc, balanced, accuracy : float
        Mean over splits; ``balanced`` is that of sensitivity and specificity.
    auroc_sd, balanced_sd, accuracy_sd : float
        Standard deviation over splits. Splits share images, so it is no interval of the mean.
    """

    label: str
    bags: int
    positive: int
    splits: int
    auroc: float
    auroc_sd: float
    balanced: float
    balanced_sd: float
    accuracy: float
    accuracy_sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderScores(JsonFields):
    """One cell of the table: places of an encoder and of data in their lists, and the scores.

    Those of images as a whole are None where the data has no labels of images, or too few.
    """

    encoder: int
    data: int
    scores: ProbeScores
    bags: BagScores | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderTable:
    """What the comparison of encoders comes to.

    Parameters
    ----------
    encoders : tuple of ComparedEncoder
    data : tuple of ComparedData
    rows : tuple of EncoderScores
        One for each encoder and each view of the data.
    remarks : tuple of str
        What was left out or assumed, a sentence each.
    """

    encoders: tuple[ComparedEncoder, ...]
    data: tuple[ComparedData, ...]
    rows: tuple[EncoderScores, ...]
    remarks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return {
            "encoders": [to_plain(each) for each in self.encoders],
            "data": [to_plain(each) for each in self.data],
            "rows": [to_plain(each) for each in self.rows],
            "remarks": list(self.remarks),
        }
