"""Guards that whoever reads an interval sees how many groups it rests on, and that few are flagged."""

from __future__ import annotations

import pytest

from napari_cyto.cli.score_tables import estimated, report_few
from napari_cyto.domain.json_values import from_plain
from napari_cyto.domain.statistics.bootstrap import Estimate
from napari_cyto.evaluation.report.parts import tile
from napari_cyto.evaluation.report.tables import FEW_WORDS, estimates_table, has_few

FEW = Estimate(0.97, 0.8, 0.99, 278, 15)
MANY = Estimate(0.97, 0.95, 0.98, 3935, 174)
OLD = from_plain(Estimate, {"value": 0.97, "low": 0.95, "high": 0.98, "n": 3935}, "A card")
"""As cards of before have it: nobody counted the groups."""


def test_few_groups_are_flagged_in_the_json() -> None:
    assert (FEW.to_json()["groups"], FEW.to_json()["few_groups"]) == (15, True)
    assert (MANY.to_json()["groups"], MANY.to_json()["few_groups"]) == (174, False)
    assert Estimate(0.5, None, None, 1).to_json()["few_groups"] is False


def test_the_page_tells_groups_and_flags_few() -> None:
    page = estimates_table([("recall", FEW, "278 cells"), ("specificity", MANY, "3,935 cells"), ("old", OLD, "")])
    for words in ("<td>15 *</td>", "<td>174</td>", "<td>–</td>"):
        assert words in page
    assert "15 * groups" in tile("Recall", FEW)
    assert has_few([MANY, FEW])
    assert not has_few([MANY, OLD])
    assert "Fewer than 20" in FEW_WORDS


def test_the_table_on_the_command_line_does_too(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [estimated("recall", FEW), estimated("specificity", MANY), estimated("old", OLD), estimated("auroc", None)]
    assert [row[-1] for row in rows] == ["15*", "174", "-", "-"]
    report_few(rows)
    assert capsys.readouterr().out.startswith("* fewer than 20 patients, smears or images")
    report_few(rows[1:])
    assert capsys.readouterr().out == ""
