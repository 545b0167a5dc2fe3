"""What a project or a label file knows of one slide or image, without its pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from napari_cyto.domain.annotation import new_id
from napari_cyto.domain.interpretation import Interpretation


class Progress(StrEnum):
    """How far the annotation of a slide has come."""

    TODO = "todo"
    IN_PROGRESS = "in progress"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideRecord:
    """One slide or image of a project or of an imported label set.

    Parameters
    ----------
    name : str
        What people call it; a file name as a rule.
    path : str
        The pixel file; empty when only labels are known.
    size_hw : tuple of int or None
        Height and width of level 0, px.
    mpp : float or None
        µm per level-0 px; None while unknown.
    mpp_source : str
        ``file``, ``user``, ``format`` (a label format states it) or empty.
    smear, patient : str
        What it was cut from, and whose it is; empty while unknown. Splits go by patient, else smear.
    stem : str
        The name that a label format gave it, kept so that an export writes the same again.
    offset_yx : tuple of int or None
        Top-left corner within the smear's level 0, px, when it is a slice of one.
    side : str
        ``train`` or ``test`` when it came with a split; else empty.
    fingerprint : str
        A hash of the pixel file, to find it again after it moved.
    progress : Progress
        How far its annotation has come.
    interpretation : Interpretation or None
        What a person says of the slide as a whole; None before anyone did. A project keeps it with its history
        (``store.interpretations``), and changes it there only.
    """

    name: str
    path: str = ""
    size_hw: tuple[int, int] | None = None
    mpp: float | None = None
    mpp_source: str = ""
    smear: str = ""
    patient: str = ""
    stem: str = ""
    offset_yx: tuple[int, int] | None = None
    side: str = ""
    fingerprint: str = ""
    progress: Progress = Progress.TODO
    interpretation: Interpretation | None = None
    id: str = field(default_factory=new_id)

    @property
    def group(self) -> str:
        """What a split must keep together: the patient, else the smear, else the slide itself."""
        return self.patient or self.smear or self.id
