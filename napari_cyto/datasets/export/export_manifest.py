"""The record that an export leaves beside its files: how it was made, from what, and what it does not carry."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from napari_cyto import __version__
from napari_cyto.datasets._exchange_options import ApaccExportOptions
from napari_cyto.datasets.audit.report import Finding
from napari_cyto.datasets.export._apacc_plan import ExportPlan, SlidePlan
from napari_cyto.datasets.export._patient_aliases import PatientAliases
from napari_cyto.datasets.splits.split import Split
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.files.atomic import EXPORT_RECORD
from napari_cyto.formats.text import read_json
from napari_cyto.slides import UnreadableTile


def apacc_manifest(
    plan: ExportPlan,
    split: Split[SlideRecord],
    options: ApaccExportOptions,
    scheme: ClassScheme,
    day: date,
    leaks: Iterable[Finding],
    unreadable: Iterable[UnreadableTile],
) -> dict[str, Any]:
    """Return the record of an APACC export as JSON-able values.

    Patients are given names of their own here: whose cells these are is nobody's business outside the project, that
    two slides are of one person is.
    """
    return {
        "by": "napari-cyto",
        "version": __version__,
        "format": "apacc",
        "date": day.isoformat(),
        "scheme": {"name": scheme.name, "version": scheme.version},
        "class_map": {
            "name": plan.class_map.name,
            "version": plan.class_map.version,
            "pairs": [list(pair) for pair in plan.class_map.pairs],
        },
        "box_um": {c.id: c.box_um for c in scheme.classes},
        "border": str(options.border),
        "padded_crops_px": options.pad_crops_px if options.crops else None,
        "options": options.model_dump(mode="json"),
        "split": split.to_json(),
        "losses": list(plan.losses),
        "leak_allowed_because": options.leak_reason or None,
        "leaks": [finding.to_json() for finding in leaks],
        "unreadable_tiles": [str(tile) for tile in unreadable],
        "slides": _slides(plan.slides, split.sets),
    }


def _slides(plans: Iterable[SlidePlan], split_of: Mapping[str, str]) -> list[dict[str, Any]]:
    aliases = PatientAliases()
    rows = []
    for plan in plans:
        slide = plan.slide
        rows.append(
            {
                "name": slide.name,
                "smear": slide.smear,
                "patient": aliases.of(slide.patient),
                "side": split_of[slide.id],
                "interpretation": None if slide.interpretation is None else slide.interpretation.to_json(),
                "mpp": slide.mpp,
                "mpp_source": slide.mpp_source,
                "fingerprint": slide.fingerprint,
                "stems": [piece.stem for piece in plan.slices],
            }
        )
    return rows


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the record into an export's folder, which marks it as one that the next export may replace."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (folder / EXPORT_RECORD).write_text(text + "\n", encoding="utf-8", errors="replace")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the record of the export in ``folder``; empty when there is none, or it is none of ours."""
    path = folder / EXPORT_RECORD
    if not path.is_file():
        return {}
    try:
        content = read_json(path)
    except FormatError:
        return {}
    return content if isinstance(content, dict) else {}


def slides_by_stem(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what a record says of the slide of each slice, by the slice's stem."""
    rows = manifest.get("slides")
    found: dict[str, Mapping[str, Any]] = {}
    for row in rows if isinstance(rows, list) else ():
        stems = row.get("stems") if isinstance(row, dict) else None
        found.update({stem: row for stem in stems if isinstance(stem, str)} if isinstance(stems, list) else {})
    return found
