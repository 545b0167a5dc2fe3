"""Guards the verb ``measure`` on a real project: what is measured, marked, left out and counted."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from outlined_project import outlined_project

from napari_cyto.cli.entry import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return outlined_project(tmp_path)


def test_cells_are_measured_marked_and_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = folder.parent / "cells.csv"
    assert run(["measure", str(folder), "--out", str(table), "--json"]) == 2
    out, err = capsys.readouterr()
    assert "1 slide left out with 1 outlined cells; the first: b: The µm per px of b are unknown" in err
    found = json.loads(out)
    assert (found["cells"], found["without_outline"], found["outlines_of_unknown_kind"]) == (23, 1, 1)
    lsil, nilm = found["classes"]
    assert lsil["median_nucleus_area_um2"] == pytest.approx(np.pi * 36, rel=0.02)
    assert lsil["median_multiple_of_intermediate"] == pytest.approx(4.0, rel=0.03)
    assert lsil["median_nc_ratio"] == pytest.approx(0.25, rel=0.03)
    assert (lsil["outline_not_accepted"], nilm["outline_not_accepted"]) == (1, 0)
    assert found["slides"][0]["intermediate_nucleus"]["nuclei"] == 22
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 23
    marked = [row for row in rows if row["outline_accepted"] == "no"]
    assert [(row["class"], row["status"]) for row in marked] == [("LSIL", "proposed")]
    assert float(marked[0]["nuclei_in_cytoplasm"]) == 1


def test_outlines_of_unknown_kind_are_nuclei_on_request(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["measure", str(folder), "--plain-outlines", "nucleus", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["cells"], found["outlines_of_unknown_kind"]) == (24, 0)
