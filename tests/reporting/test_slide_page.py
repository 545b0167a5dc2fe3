"""Promise: the report stands alone, says what the JSON says, says that it is no diagnosis, and hides what is blind."""

from __future__ import annotations

import base64
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from napari_cyto.cli.entry import run
from napari_cyto.domain import edits
from napari_cyto.domain.adequacy import Preparation
from napari_cyto.domain.annotation import Annotation, Status, origin_of_model
from napari_cyto.domain.coverage import Coverage
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.presets import preset
from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Cancelled, CancelToken, Done, Failed
from napari_cyto.reporting.job import ReportOptions, WrittenReport, survey_slide, write_result
from napari_cyto.reporting.slide_facts import CANNOT_SAY
from napari_cyto.reporting.slide_summary import DECISION_SUPPORT
from napari_cyto.reporting.stored_facts import KeptSurvey, SurveyFacts, say_preparation, survey_of
from napari_cyto.review.slide_risk import ORDER
from napari_cyto.session import Session
from napari_cyto.slides.tiff_writer import write_pyramid

SIDE = 640
FINDER = origin_of_model("finder", "0" * 64)
VOID = {"img", "meta", "br", "link", "input"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of two slides; of the first a fifth was looked at, and it has two cells."""
    session = Session("anna")
    session.projects.create(tmp_path / "lab.cyto", preset("bethesda"), "Lab <1> & co")
    for number in range(2):
        pixels = np.random.default_rng(number).integers(60, 255, (SIDE, SIDE, 3), dtype=np.uint8)
        path = tmp_path / f"smear_{number}.tif"
        write_pyramid(path, (SIDE, SIDE), lambda y, x, h, w, p=pixels: p[y : y + h, x : x + w], mpp=0.25)
        session.slides.add([path])
    project = session.project
    first = project.slides()[0]
    cells = [
        Annotation(slide_id=first.id, geometry=Point(200.0, 200.0), class_id="LSIL", author="anna"),
        Annotation(
            slide_id=first.id,
            geometry=Point(300.0, 300.0),
            class_id="HSIL",
            status=Status.UNREVIEWED,
            origin=FINDER,
            scores=(("HSIL", 0.81),),
        ),
    ]
    project.apply(edits.add(cells, "Mark"), "anna")
    seen = Coverage((SIDE, SIDE))
    seen.see((0.0, 0.0, SIDE / 5, SIDE), 40)
    project.add_coverage(first.id, "anna", seen)
    say_preparation(project, [first.id], Preparation.CONVENTIONAL, "anna")
    folder = project.folder
    session.close()
    return folder


class Balance(HTMLParser):
    """Whether every element is closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs)["src"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def written(folder: Path, out: Path, **values) -> WrittenReport:
    *_, last = write_result(folder, out, **values)
    assert isinstance(last, Done), last
    return last.result


def test_the_page_stands_alone_and_says_what_the_json_says(folder, tmp_path):
    page_path, json_path = tmp_path / "r.html", tmp_path / "r.json"
    written(folder, page_path)
    written(folder, json_path)
    page, found = page_path.read_text(encoding="utf-8"), json.loads(json_path.read_text(encoding="utf-8"))
    balance = Balance(page)
    assert balance.open == []
    assert "default-src 'none'" in page
    assert not re.search(r"https?://(?!www\.w3\.org)", page)
    assert "<script" not in page
    # Two cells and a map of the first slide, a map of the second.
    assert len(balance.images) == 4
    for source in balance.images:
        assert base64.b64decode(source.removeprefix("data:image/jpeg;base64,")).startswith(b"\xff\xd8")
    assert "Lab &lt;1&gt; &amp; co" in page
    assert DECISION_SUPPORT in page
    assert found["notice"] == DECISION_SUPPORT
    assert ORDER in html.unescape(page)
    assert found["methods"]["high_grade"]["order"] == ORDER
    assert found["cannot_say"] == list(CANNOT_SAY)
    first, second = found["slides"]
    assert (first["highest_accepted"]["class_id"], first["highest_proposed"]["class_id"]) == ("LSIL", "HSIL")
    assert "LSIL: 1 cell accepted" in page
    assert "HSIL: 1 cell predicted, best score 0.81" in page
    assert first["looked_at"]["by_person"] == {"anna": 0.2}
    assert "20 % of the slide at 10x or more" in page
    assert first["adequacy"]["preparation"] == "conventional"
    assert first["adequacy"]["sentence"] in page
    assert first["origins"] == {"drawn": 1, FINDER: 1}
    assert (second["cells"], second["high_grade"]["of"], second["survey"]) == (0, 0, None)
    assert [c["centre_yx"] for c in first["best_cells"]] == [[300.0, 300.0], [200.0, 200.0]]


def test_a_blind_report_tells_nothing_of_what_the_model_said(folder, tmp_path):
    for name in ("r.html", "r.json"):
        found = written(folder, tmp_path / name, options=ReportOptions(blind=True)).result.slides[0]
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "0.81" not in text
        assert (found.high_grade, found.highest_proposed, found.origins) == (None, None, {})
        assert found.proposed_cells == 1
        assert {found.unreviewed.to_json()[name] for name in ("missed", "corrected")} == {None}
    hsil = next(c for c in found.counts if c.class_id == "HSIL")
    assert hsil.proposed == 0


def test_measuring_is_kept_and_not_done_twice(folder, tmp_path):
    from napari_cyto.store import Project

    out = tmp_path / "r.json"
    options = ReportOptions(measure=True, magnification=40)
    first = written(folder, out, options=options).result.slides[0].survey
    assert first.tiles > 0
    again = written(folder, out, options=options).result.slides[0]
    assert again.survey == first
    assert again.looked_at.magnification == 40
    with Project.open(folder) as project:
        assert survey_of(project, project.slides()[0].id).tissue.shape == (SIDE, SIDE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tiles": "many"}, "expected a value of tiles, got 'many'"),
        ({"tissue": {"shape": [9, 9], "bits": "AAAA"}}, "measure again"),
        ({"tissue": None}, "got None"),
    ],
)
def test_a_damaged_measurement_is_refused_in_a_sentence(change, words):
    facts = SurveyFacts(
        tiles=3,
        judged=0,
        focus=None,
        out_of_focus=None,
        out_of_focus_interval=None,
        obscured=None,
        mpp=0.25,
        measured_utc="",
        made_by="",
    )
    kept = KeptSurvey(facts, np.eye(9, dtype=bool))
    again = KeptSurvey.from_json(json.loads(json.dumps(kept.to_json())))
    assert (again.facts, again.tissue.tolist()) == (facts, kept.tissue.tolist())
    with pytest.raises(CytoError, match=words):
        KeptSurvey.from_json(kept.to_json() | change)


def test_a_slide_that_is_gone_does_not_stop_the_others(folder, tmp_path):
    (tmp_path / "smear_0.tif").unlink()
    found = written(folder, tmp_path / "r.html", options=ReportOptions(measure=True))
    assert found.unreadable == ("smear_0.tif",)
    assert found.result.slides[0].cells == 2
    assert found.result.slides[1].survey is not None


def test_refusals_write_nothing(folder, tmp_path):
    for out, options, words in (
        (tmp_path / "r.pdf", ReportOptions(), "NAME.html or NAME.json"),
        (tmp_path / "none" / "r.html", ReportOptions(), "no folder"),
        (tmp_path / "r.html", ReportOptions(magnification=7), "magnifications 4, 10, 20, 40"),
    ):
        *_, last = write_result(folder, out, options=options)
        assert isinstance(last, Failed)
        assert last.expected
        assert words in last.message
        assert not out.exists()


def test_cancelling_leaves_no_file(folder, tmp_path):
    token = CancelToken()
    token.cancel()
    *_, last = write_result(folder, tmp_path / "r.html", token=token)
    assert isinstance(last, Cancelled)
    assert not (tmp_path / "r.html").exists()
    *_, last = survey_slide(tmp_path / "smear_0.tif", 0.25, token)
    assert isinstance(last, Cancelled)


def test_the_command_line_writes_one_slide_or_all(folder, tmp_path, capsys):
    out = tmp_path / "r.html"
    assert run(["report", str(folder), "--slide", "smear_0", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert DECISION_SUPPORT in said
    assert "LSIL: 1 cell accepted" in said
    assert "slide report" in out.read_text(encoding="utf-8")
    assert run(["report", str(folder), "--out", str(tmp_path / "r.json"), "--magnification", "40", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["slides"], found["result"]["magnification"]) == (2, 40)
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8")) == found["result"]
    assert run(["report", str(folder), "--slide", "other", "--out", str(out)]) == 2
    assert "got 'other" in capsys.readouterr().err
    assert run(["report", str(folder)]) == 2
    assert "--out FILE.html" in capsys.readouterr().err


def test_a_file_that_is_no_report_is_not_replaced_unasked(folder, tmp_path):
    out = tmp_path / "mine.html"
    out.write_text("my page", encoding="utf-8")
    *_, last = write_result(folder, out)
    assert isinstance(last, Failed)
    assert "--overwrite" in last.message
    assert out.read_text(encoding="utf-8") == "my page"
    for options in (ReportOptions(overwrite=True, examples=0), ReportOptions(examples=0)):
        *_, last = write_result(folder, out, options=options)
        assert isinstance(last, Done)


def test_slides_of_one_name_are_distinguished_on_the_page(folder, tmp_path):
    from napari_cyto.store import Project

    with Project.open(folder) as project:
        for number, slide in enumerate(project.slides()):
            (tmp_path / str(number)).mkdir()
            place = Path(slide.path).rename(tmp_path / str(number) / "001.tif")
            project.update_slide(replace(slide, name="001.tif", path=str(place)))
    *_, last = write_result(folder, tmp_path / "r.json", options=ReportOptions(examples=0))
    assert isinstance(last, Done)
    assert sorted(slide.name for slide in last.result.result.slides) == ["0/001.tif", "1/001.tif"]
