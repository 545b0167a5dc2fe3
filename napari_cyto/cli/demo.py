"""The verb ``demo``: the main job on an embedded default."""

from __future__ import annotations

import sys
from pathlib import Path

from napari_cyto.cli import exchange
from napari_cyto.cli import open_window as window
from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.output import print_facts, print_json
from napari_cyto.errors import CytoError
from napari_cyto.files.user_folders import user_data_dir
from napari_cyto.synthesis.demo_job import PROJECT_NAME, prepare_demo, run_demo_headless


def run(headless: bool, out: Path | None, as_json: bool) -> None:
    """Make the demo and show it, or do its whole job without a screen.

    Raises
    ------
    CytoError
        When a folder is missing or cannot be written, or there is no screen; or when the audit finds a leak.
    """
    if headless:
        if out is None:
            raise CytoError("`napari-cyto demo --headless` needs a folder to write to; add --out DIR.")
        _without_screen(out, as_json)
        return
    window.need_window("demo")
    folder = (user_data_dir() if out is None else out) / PROJECT_NAME
    result = follow(lambda token: prepare_demo(folder, token), "Making the demo smear")
    print(f"The demo project is {folder}.", file=sys.stderr)
    window.show(folder, {name: str(value) for name, value in result.items()} if as_json else None)


def _without_screen(out: Path, as_json: bool) -> None:
    result = follow(lambda token: run_demo_headless(out, token), "Making the demo")
    if as_json:
        print_json(result)
    else:
        exchange.report_result(result["export"], as_json=False)
        print_facts((name, result[name]) for name in ("project", "apacc", "audit", "overview", "annotations"))
    if not result["audit_ok"]:
        raise CytoError(f"The audit of the demo's dataset failed; {result['audit']} has the findings.")
