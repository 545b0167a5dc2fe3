"""Promise: no cell of a table is a formula to a spreadsheet, and reading gives back what was written."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.evaluation.grid_table import _csv
from napari_cyto.formats import get_format
from napari_cyto.formats.tables import table_field, table_line, unguarded

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", '=A1,"x"']
FORMULAS += ["＝1", "＋1", "－1", "＠1"]
PLAIN = ["-1.5", "+3", "1e-5", "-.5", "HSIL", "", "a=b", "ASC-US", "Ki67-"]


def read_back(line: str) -> list[str]:
    return next(csv.reader(io.StringIO(line, newline="")))


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_become_text(text: str) -> None:
    (value,) = read_back(table_line([text]))
    assert value == "'" + text
    assert unguarded(value) == text


@pytest.mark.parametrize("text", PLAIN)
def test_numbers_and_words_stay(text: str) -> None:
    assert table_field(text) == text


@given(st.text(alphabet=st.sampled_from("'=+-@\t1.e x,\"\r\n＝"), max_size=8) | st.text(max_size=20))
def test_every_text_comes_back(text: str) -> None:
    (value,) = read_back(table_line([text])) or [""]
    assert unguarded(value) == text
    assert value[:1] not in {*"=@\t\r\n＝＋－＠"}
    assert value[:1] not in {"+", "-"} or re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", value, re.ASCII)


def test_through_the_format(tmp_path: Path) -> None:
    slide = SlideRecord(name="-s.tif")
    texts = [text for text in FORMULAS if text == text.strip() and text.isprintable()] + ["'=x", "''@y"]
    cells = [Annotation(slide_id=slide.id, geometry=Point(-1.5, 2.0), class_id=t, author=t, note=t) for t in texts]
    target = tmp_path / "a.csv"
    get_format("csv").write(LabelSet((slide,), tuple(cells)), target)
    rows = list(csv.DictReader(io.StringIO(target.read_text(encoding="utf-8"), newline="")))
    assert all(row[name].startswith("'") for row in rows for name in ("label", "author", "note", "image"))
    assert {row["y"] for row in rows} == {"-1.5"}
    read = get_format("csv").read(target)
    assert [(a.class_id, a.author, a.note) for a in read.annotations] == [(t, t, t) for t in texts]
    assert read.slides[0].name == "-s.tif"
    named = replace(slide, name="=1+1.png")
    get_format("cric").write(LabelSet((named,), (replace(cells[0], class_id="NILM"),)), tmp_path / "c.csv")
    assert "'=1+1.png" in (tmp_path / "c.csv").read_text(encoding="utf-8")


def test_tables_of_scores() -> None:
    assert _csv([{"trained_on": "=1+1", "f1": -0.5, "n": None}]) == "trained_on,f1,n\n'=1+1,-0.5,\n"
