"""A slide's facts as plain JSON or YAML values, carried in formats that allow fields of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from napari_cyto.domain.interpretation import Interpretation
from napari_cyto.domain.slide_record import Progress, SlideRecord
from napari_cyto.errors import CytoError, FormatError
from napari_cyto.formats.text import free_text, number, whole_number

KEY = "napari_cyto"
"""The field of our own under which label files carry what their format has no place for."""

_TEXTS = ("mpp_source", "smear", "patient", "stem", "side", "fingerprint")


def slide_to_dict(slide: SlideRecord) -> dict[str, Any]:
    """Return what is known of a slide, x and width first as files speak; no path and nothing that is unknown."""
    facts: dict[str, Any] = {"name": slide.name}
    if slide.size_hw is not None:
        facts |= {"width": slide.size_hw[1], "height": slide.size_hw[0]}
    if slide.offset_yx is not None:
        facts |= {"offset_x": slide.offset_yx[1], "offset_y": slide.offset_yx[0]}
    if slide.mpp is not None:
        facts["mpp"] = slide.mpp
    facts |= {field: getattr(slide, field) for field in _TEXTS if getattr(slide, field)}
    if slide.progress is not Progress.TODO:
        facts["progress"] = str(slide.progress)
    if (said := slide.interpretation) is not None:
        facts["interpretation"] = {"category": said.category, "by": said.by, "at": said.at}
    return facts


def slide_from_dict(facts: object, name: str, fault: Callable[[str], FormatError]) -> SlideRecord:
    """Return the slide that ``facts`` describe; ``name`` stands in where they have none or are missing.

    Raises
    ------
    FormatError
        When a size, offset or mpp is no sensible number, or an interpretation none of ours; made by ``fault``.
    """
    known: Mapping[Any, Any] = facts if isinstance(facts, Mapping) else {}
    return SlideRecord(
        name=free_text(known.get("name"), 500).strip() or name,
        size_hw=_pair(known, "height", "width", fault),
        offset_yx=_pair(known, "offset_y", "offset_x", fault),
        mpp=_mpp(known.get("mpp"), fault),
        progress=_progress(known.get("progress")),
        interpretation=_interpretation(known.get("interpretation"), fault),
        **{field: free_text(known.get(field), 500) for field in _TEXTS},
    )


def _pair(facts: Mapping[Any, Any], y: str, x: str, fault: Callable[[str], FormatError]) -> tuple[int, int] | None:
    if facts.get(y) is None or facts.get(x) is None:
        return None
    return (whole_number(facts[y], y, fault), whole_number(facts[x], x, fault))


def _mpp(value: object, fault: Callable[[str], FormatError]) -> float | None:
    if value is None:
        return None
    mpp = number(value, "mpp (µm per px)", fault, 1000)
    if mpp < 0.001:
        raise fault(f"expected an mpp from 0.001 to 1000 µm per px, got {mpp}.")
    return mpp


def _progress(value: object) -> Progress:
    return Progress(value) if isinstance(value, str) and value in set(Progress) else Progress.TODO


def _interpretation(value: object, fault: Callable[[str], FormatError]) -> Interpretation | None:
    if not isinstance(value, Mapping):
        return None
    try:
        return Interpretation(*(free_text(value.get(name), 500).strip() for name in ("category", "by", "at")))
    except CytoError as error:
        raise fault(f"the interpretation: {error}") from error
