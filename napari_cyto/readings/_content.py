"""What a reading's own project says, as one text: what is locked when it is finished."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.json_values import to_plain
from napari_cyto.readings.given_cells import skipped_cells
from napari_cyto.store import Project
from napari_cyto.store.reading_gate import GIVEN, OF_READING


def content(project: Project) -> str:
    """Return a reading's slides, given cells and annotations as JSON, in an order of their own."""
    slides = [
        {"id": r.id, "name": r.name, "path": r.path, "size_hw": to_plain(r.size_hw), "mpp": r.mpp}
        for r in sorted(project.slides(), key=lambda r: r.id)
    ]
    said = [_as_json(a) for a in sorted(project.annotations(), key=lambda a: a.id)]
    everything = {
        "reading": project.setting(OF_READING, {}),
        "slides": slides,
        "cells": project.setting(GIVEN, []),
        "skipped": sorted(skipped_cells(project)),
        "annotations": said,
    }
    return json.dumps(everything, sort_keys=True, separators=(",", ":"))


def sha256_of(project: Project) -> str:
    """Return the SHA-256 over `content`, 64 hexadecimal digits."""
    return hashlib.sha256(content(project).encode()).hexdigest()


def _as_json(a: Annotation) -> dict[str, Any]:
    kind = type(a.geometry).__name__
    return {
        "id": a.id,
        "slide": a.slide_id,
        "class": a.class_id,
        "status": a.status.value,
        "author": a.author,
        "shape": kind,
        "geometry": to_plain(a.geometry),
        "opinion": to_plain(a.scores),
        "note": a.note,
        "at": a.created_utc.isoformat(),
    }
