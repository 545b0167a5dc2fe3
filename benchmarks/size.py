"""Whether what is very large costs what it may: imports, exports, undo, audits and training, against their bars.

    python benchmarks/size.py [--only import,export,undo,audit,apacc,training] [--tenth]

Each work is a command line of its own on two cores, on inputs that are made here; each is done at a hundredth, at a
tenth, and at the full size. ``growth`` is the cost of ten times as much over ten times the cost: 1 is linear. It
flatters what is quick, for both hold the start-up; ``net`` is the same with the cost at a hundredth taken off each. The
table and the figures go to ``benchmarks/results/size.md`` and ``size.json``; the exit code is 1 when a bar is missed.
``--tenth`` stops before the full size, for a quick look; ``--tell`` makes the table of the figures kept, and measures
nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import size_audit
import size_export
import size_import
import size_training

RESULTS = Path(__file__).parent / "results"
GROWTH = 1.15
Row = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """Something that may be large: its name, its full size, how it is measured, and what it may cost there."""

    name: str
    group: str
    count: int
    measured: Callable[[int], Row]
    at_most: dict[str, float] = field(default_factory=dict)
    grows: bool = True


def training(count: int) -> Row:
    """Return what a training takes; ``untold_mb`` is its memory where that was not said before, within a tenth."""
    row = size_training.measure(count)
    return row | {"untold_mb": 0 if row["told_mb"] >= 0.9 * row["peak_mb"] else row["peak_mb"]}


WORKS = (
    Work("import, GeoJSON", "import", 1_000_000, size_import.measure, {"core_s": 80, "peak_mb": 600}),
    *(
        Work(
            f"export, {name}",
            "export",
            1_000_000,
            lambda count, name=name: size_export.measure_one(name, count),
            {"core_s": core_s, "peak_mb": 600},
        )
        for name, core_s in (("geojson", 38), ("coco", 34), ("csv", 22))
    ),
    Work("undo of an import", "undo", 300_000, size_import.measure_undo, {"undo_s": 5}),
    Work("audit, crops, 10 % copies", "audit", 50_000, size_audit.measure_crops, {"core_s": 120, "peak_mb": 1000}),
    Work("audit, crops, all copies of 4", "audit", 4_000, size_audit.measure_crowd, {"core_s": 20, "peak_mb": 1000}),
    Work("audit, slides of a project", "audit", 2_000, size_audit.measure_slides, {"core_s": 60}),
    Work("APACC export, fields", "apacc", 2_000, size_export.measure_fields, {"core_s_a_field": 0.03}),
    Work("training, cells", "training", 124, training, {"untold_mb": 2000}, grows=False),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="groups, with commas between them")
    parser.add_argument("--tenth", action="store_true")
    parser.add_argument("--tell", action="store_true")
    options = parser.parse_args()
    groups = set(filter(None, options.only.split(",")))
    if unknown := groups - {work.group for work in WORKS}:
        parser.error(f"There is no group {', '.join(sorted(unknown))}.")
    outcome = []
    for work in WORKS:
        if not groups or work.group in groups:
            outcome.append(evaluated(work, kept_figures(work) if options.tell else measured(work, options.tenth)))
            print(as_line(outcome[-1]), flush=True)
    if not options.tenth:
        RESULTS.mkdir(exist_ok=True)
        kept = outcome if not groups else with_earlier(outcome)
        (RESULTS / "size.json").write_text(json.dumps({"machine": machine(), "works": kept}, indent=1) + "\n")
        lines = [f"On {machine()}.", "", *HEAD, *map(as_line, kept)]
        (RESULTS / "size.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(json.dumps({row["name"]: row["holds"] for row in outcome}))
    return int(not all(row["holds"] for row in outcome))


def measured(work: Work, tenth: bool) -> dict[str, Row]:
    """Return the figures of a work at each of its sizes."""
    counts = (work.count // 100, work.count // 10, work.count)[: 2 if tenth else 3] if work.grows else (work.count,)
    return {str(count): work.measured(count) for count in counts}


def evaluated(work: Work, figures: dict[str, Row]) -> Row:
    """Return the figures with the growth between them, and whether the bars hold at the full size."""
    row: Row = {"name": work.name, "group": work.group, "figures": figures, "growth": None, "net": None}
    last, missed = list(figures.values())[-1], []
    if str(work.count) in figures:
        missed += [f"{key} {last[key]} > {bar:g}" for key, bar in work.at_most.items() if last[key] > bar]
        if work.grows:
            small, middle, full = (figure["core_s"] for figure in figures.values())
            row["growth"] = round(full / (10 * middle), 2)
            row["net"] = round((full - small) / (10 * max(middle - small, 0.01)), 2)
            missed += [f"growth {row['growth']} > {GROWTH}"] if row["growth"] > GROWTH else []
    return row | {"at_most": work.at_most, "missed": missed, "holds": not missed}


HEAD = (
    "| work | size | core s | peak MB | other | growth | net | may be at most | |",
    "|---|---|---|---|---|---|---|---|---|",
)


def as_line(row: Row) -> str:
    """Return the row of the table of a work at its largest size."""
    count, last = list(row["figures"].items())[-1]
    other = ", ".join(f"{k} {round(v, 3)}" for k, v in last.items() if k not in ("core_s", "peak_mb"))
    bars = ", ".join(f"{key} {bar:g}" for key, bar in row["at_most"].items())
    cells = (row["name"], f"{int(count):,}", f"{last['core_s']:.1f}", f"{last['peak_mb']:.0f}", other)
    ended = "holds" if row["holds"] else "missed: " + ", ".join(row["missed"])
    grown = ("" if row[key] is None else str(row[key]) for key in ("growth", "net"))
    return "| " + " | ".join((*cells, *grown, bars, ended)) + " |"


def kept_figures(work: Work) -> dict[str, Row]:
    """Return the figures of a work that an earlier run kept."""
    works = json.loads((RESULTS / "size.json").read_text())["works"]
    return next(row["figures"] for row in works if row["name"] == work.name)


def with_earlier(outcome: list[Row]) -> list[Row]:
    """Return the rows with those of an earlier run that were not measured anew."""
    try:
        earlier = json.loads((RESULTS / "size.json").read_text())["works"]
    except FileNotFoundError:
        return outcome
    by_name = {row["name"]: row for row in (*earlier, *outcome)}
    return [by_name[work.name] for work in WORKS if work.name in by_name]


def machine() -> str:
    """Return in words what was measured on."""
    import os

    return f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
