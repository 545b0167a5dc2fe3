"""Verbs that look and tell: info, audit, schemes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.output import print_facts, print_json, print_table
from napari_cyto.errors import CytoError

if TYPE_CHECKING:
    from napari_cyto.datasets.audit.report import AuditReport, Finding

SHOWN_ROWS = 20


def info(path: Path, as_json: bool, scale_by_nuclei: bool = False) -> None:
    """Print what is known of a slide without its pixels and, where asked for, what its nuclei say of its scale.

    Raises
    ------
    SlideError
        When it cannot be opened.
    """
    from napari_cyto.slides import open_slide

    with open_slide(path) as slide:
        known, estimate = slide.info, None
        if scale_by_nuclei:
            from napari_cyto.slides.nuclear_scale import estimate_scale
            from napari_cyto.slides.pixel_source import SlidePixels

            estimate = estimate_scale([SlidePixels(slide)])
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
        "planes": known.planes.to_json(),
        "remarks": list(known.remarks),
        "objective": known.objective,
        "bounds_yxyx": known.bounds_yxyx,
        "icc_bytes": len(known.icc) if known.icc else 0,
        "associated": list(known.associated),
    }
    if as_json:
        scale = {} if estimate is None else {"scale_by_nuclei": estimate.to_json()}
        print_json(facts | scale | {"properties": dict(known.properties)})
        return
    facts["level_sizes"] = ", ".join(f"{w} x {h}" for w, h in facts["level_sizes"])
    facts["downsamples"] = ", ".join(f"{d:g}" for d in known.downsamples)
    facts["associated"] = ", ".join(known.associated)
    facts["planes"] = str(known.planes)
    remarks = facts.pop("remarks")
    print_facts(facts.items())
    for remark in remarks:
        print(remark)
    if estimate is not None:
        print(f"By its nuclei: {estimate.sentence}")


def schemes(as_json: bool) -> None:
    """Print the built-in class schemes and maps."""
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
    from napari_cyto.datasets import audit_job

    report: AuditReport = follow(lambda token: audit_job(path, token=token), f"Auditing {path.name}")
    if as_json:
        print_json(report.to_json())
    else:
        _print_findings(report.findings, f"Audit of {report.source}")
        print(report.summary)
    if not report.ok:
        raise CytoError(f"The audit of {path} failed: {report.summary}")


def _print_findings(findings: Sequence[Finding], title: str) -> None:
    rows = [(str(f.severity), f.kind, f.detail, len(f.rows)) for f in findings]
    if rows:
        print_table(title, ("severity", "finding", "what", "rows"), rows)
    for finding in findings:
        _print_rows(finding.kind, finding.rows)


def _print_rows(kind: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the first rows of a finding; all of them are in the JSON."""
    if not rows:
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    left = f", the first {SHOWN_ROWS} of {len(rows)}; --json has all" if len(rows) > SHOWN_ROWS else ""
    print_table(f"{kind}{left}", columns, [[row.get(c) for c in columns] for row in rows[:SHOWN_ROWS]])
