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


def test_geojson_for_qupath_carries_the_numbers_and_how_certain_they_are(folder: Path) -> None:
    target = folder.parent / "out"
    assert run(["export", "geojson", str(folder), str(target), "--json"]) == 0
    assert "Nucleus: Area" not in (target / "a.geojson").read_text(encoding="utf-8"), "nothing was measured yet"
    run(["measure", str(folder)])
    assert run(["export", "geojson", str(folder), str(target), "--overwrite", "--json"]) == 0
    features = json.loads((target / "a.geojson").read_text(encoding="utf-8"))["features"]
    by_class = {f["properties"]["classification"]["name"]: f["properties"] for f in features}
    numbers = by_class["LSIL"]["measurements"]
    assert numbers["Nucleus: Area µm^2"] == pytest.approx(np.pi * 36, rel=0.02)
    assert numbers["Nucleus/Cell area ratio"] == pytest.approx(0.25, rel=0.03)
    assert (numbers["Outline accepted"], by_class["LSIL"]["metadata"]["outline"]) == (0, "unaccepted")
    drawn = next(f for f in features if "Outline accepted" in f["properties"].get("measurements", {}))
    assert drawn["properties"]["measurements"]["Outline accepted"] == 1
    assert run(["export", "geojson", str(folder), str(target), "--overwrite", "--measurements", "none"]) == 0
    assert "Nucleus: Area" not in (target / "a.geojson").read_text(encoding="utf-8")


def test_a_table_is_parquet_with_types_units_and_formulas(folder: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    target = folder.parent / "cells.parquet"
    run(["measure", str(folder), "--out", str(target)])
    table = parquet.read_table(target)
    assert table.num_rows == 23
    ratios = table.column("nc_ratio").to_pylist()
    assert [ratio for ratio in ratios if ratio is not None] == pytest.approx([0.25], rel=0.03)
    assert table.column("outline_accepted").to_pylist().count(False) == 1
    assert "µm²" in table.schema.field("nucleus_area_um2").metadata[b"description"].decode()


def test_another_kind_of_table_is_refused_before_anything_is_measured(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["measure", str(folder), "--out", str(folder.parent / "cells.xlsx")]) == 2
    assert "ends in .csv or .parquet, got cells.xlsx" in capsys.readouterr().err
    assert not (folder / "measurements").exists()
