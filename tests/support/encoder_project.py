"""A tiny encoder, and a project on whose slides cells of two kinds can be told apart by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.inference.embed.job import EmbedOptions, embed
from napari_cyto.jobs.events import Done
from napari_cyto.models.bundle import Bundle, write_bundle
from napari_cyto.models.encoder import build
from napari_cyto.slides import fingerprint
from napari_cyto.store import Project

RULE = {"windows": (16.0,), "unit": "px", "size_px": 32}
SIDE, PITCH = 240, 24


def tiny_encoder(folder: Path, seed: int = 0, **settings: object) -> Bundle:
    """Write an encoder of random weights that takes windows of 16 px."""
    torch.manual_seed(seed)
    known = {"backbone": "test_vit", "tokens": "both", "input_px": 32, "length": 128} | settings
    fields = {"kind": "encoder", "architecture": "timm-encoder", "settings": known, "classes": (), "mpp": None}
    return write_bundle(folder, fields | {"input_px": 32, "crop_rule": RULE}, build(known, 0).state_dict())


def two_kinds(place: Path, encoder: Bundle, slides: int = 3) -> dict[str, int]:
    """Make a project of slides with dark cells (1) and pale ones (0), with vectors; return the kind of each by id."""
    rng, kinds = np.random.default_rng(0), dict[str, int]()
    with Project.create(place, preset("bethesda")) as project:
        for number in range(slides):
            pixels = rng.integers(150, 250, (SIDE, SIDE, 3), dtype=np.uint8)
            cells = []
            for y in range(PITCH, SIDE - PITCH, PITCH):
                for x in range(PITCH, SIDE - PITCH, PITCH):
                    kind = int(rng.random() < 0.3)
                    if kind:
                        pixels[y - 6 : y + 6, x - 6 : x + 6] //= 4
                    cells.append((Point(y, x), kind))
            path = place.parent / f"slide{number}.png"
            Image.fromarray(pixels).save(path)
            slide = SlideRecord(name=path.name, path=str(path), size_hw=(SIDE, SIDE), fingerprint=fingerprint(path))
            project.add_slides([slide])
            made = [
                Annotation(slide_id=slide.id, geometry=point, class_id="NILM", status=Status.UNREVIEWED)
                for point, _ in cells
            ]
            project.apply(add(made, "Run detection"), "finder")
            kinds |= {cell.id: kind for cell, (_, kind) in zip(made, cells, strict=True)}
    last = list(embed(place, EmbedOptions(encoder=str(encoder.path), runtime="torch")))[-1]
    assert isinstance(last, Done)
    return kinds
