"""Promise: projects and slides are opened, added, walked through and found again from the Slides dock."""

from __future__ import annotations

import gzip
import shutil
import zipfile
from pathlib import Path

from PIL import Image
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QApplication, QFileDialog, QMessageBox

from napari_cyto.datasets.import_.source_kind import likely_format
from napari_cyto.domain.slide_record import Progress
from napari_cyto.formats import FORMATS
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.slides import _recent as recent
from napari_cyto.widgets.docks.slides._import_dialog import ImportDialog
from napari_cyto.widgets.docks.slides._new_project import NewProjectDialog
from napari_cyto.widgets.docks.slides._slide_list import REMOVE_WORDS
from napari_cyto.widgets.docks.slides.open_paths import free_folder, project_beside


def drop(dock, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(p)) for p in paths])
    dock.dropEvent(
        QDropEvent(
            QPointF(5, 5) if hasattr(QDropEvent, "position") else QPointF(5, 5).toPoint(),
            Qt.DropAction.CopyAction,
            data,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
    )


def rows(bench) -> list[str]:
    return [parts.unbroken(bench.slides.list.item(i).text()) for i in range(bench.slides.list.count())]


def test_the_list_shows_names_progress_and_counts(bench):
    bench.mark(2)
    assert rows(bench) == [
        "smear_a.tif\nto do, 2 annotations",
        "smear_b.tif\nto do, 0 annotations",
        "field.png\nto do, 0 annotations",
    ]
    bench.session.facts.set_progress(Progress.DONE)
    assert rows(bench)[0] == "smear_a.tif\ndone, 2 annotations"
    assert bench.slides.totals.text() == "3 slides: 1 done, 0 begun"


def test_next_previous_and_done(bench):
    names = []
    for button in (bench.slides.next, bench.slides.next, bench.slides.previous):
        bench.click(button)
        names.append(bench.session.slide.name)
    assert names == ["smear_b.tif", "field.png", "smear_b.tif"]
    bench.click(bench.slides.done)
    assert bench.session.slide.progress is Progress.DONE
    assert bench.slides.done.isChecked()
    bench.click(bench.slides.done)
    assert bench.session.slide.progress is Progress.IN_PROGRESS
    assert not bench.slides.done.isChecked()


def test_a_click_on_a_slide_opens_it(bench):
    place = bench.slides.list.visualItemRect(bench.slides.list.item(2)).center()
    bench.qtbot.mouseClick(bench.slides.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert bench.session.slide.name == "field.png"


def test_a_dropped_slide_without_a_project_gets_one_beside_it(empty_bench, slide_files):
    reported = []
    empty_bench.session.message.connect(reported.append)
    drop(empty_bench.slides, slide_files[0])
    project = empty_bench.session.project
    assert project.folder == slide_files[0].parent / "smear_a.cyto"
    assert any(str(project.folder) in sentence for sentence in reported)
    assert rows(empty_bench) == ["smear_a.tif\nto do, 0 annotations"]
    drop(empty_bench.slides, slide_files[1])
    assert empty_bench.session.project.folder == slide_files[0].parent / "smear_a.cyto"
    assert empty_bench.session.slide.name == "smear_b.tif"


def test_a_dropped_project_is_opened(empty_bench, project_folder):
    drop(empty_bench.slides, project_folder)
    assert len(rows(empty_bench)) == 3
    assert parts.unbroken(empty_bench.slides.headline.text()) == "Smears"


def test_a_file_that_is_no_slide_leaves_no_project_behind(empty_bench, tmp_path):
    reported = []
    empty_bench.session.message.connect(reported.append)
    bad = tmp_path / "bad.svs"
    bad.write_bytes(b"nothing")
    drop(empty_bench.slides, bad)
    assert empty_bench.session.project is None
    assert not project_beside(bad).exists()
    assert len(reported) == 1
    assert "bad.svs" in reported[0]


def test_a_moved_file_is_found_again_and_another_one_is_refused(bench, slide_files):
    record = bench.session.slide
    bench.mark(1)
    moved = slide_files[0].parent / "elsewhere" / "renamed.tif"
    moved.parent.mkdir()
    shutil.move(slide_files[0], moved)
    bench.session.projects.open(bench.session.project.folder)
    assert bench.slides.relink.isVisible()
    assert "file not found" in rows(bench)[0]
    reported = []
    bench.session.message.connect(reported.append)
    bench.slides.do(bench.slides.relink_to, slide_files[1])
    assert "its content differs" in reported[-1]
    bench.slides.do(bench.slides.relink_to, moved)
    assert bench.session.slide.id == record.id
    assert bench.session.open_slide_handle is not None
    assert not bench.slides.relink.isVisible()
    assert rows(bench)[0] == "smear_a.tif\nto do, 1 annotation"


def test_a_new_project_has_a_name_a_place_and_classes(empty_bench, tmp_path):
    dialog = NewProjectDialog(empty_bench.session, None, tmp_path)
    empty_bench.qtbot.addWidget(dialog)
    dialog.name.setText("Ki/67")
    empty_bench.click(dialog.create)
    assert "without /" in dialog.problem.text()
    dialog.name.setText("May 2025")
    dialog.scheme.setCurrentIndex(dialog.scheme.findData("apacc"))
    assert dialog.classes.text() == "healthy, rubbish, unhealthy, bothcells"
    empty_bench.click(dialog.create)
    assert empty_bench.session.project.folder == tmp_path / "May 2025.cyto"
    assert empty_bench.session.project.scheme.name == "apacc"
    assert free_folder(tmp_path, "May 2025") == tmp_path / "May 2025 2.cyto"


def test_a_new_project_takes_classes_from_a_file(empty_bench, tmp_path):
    (tmp_path / "own.yaml").write_text(
        "name: own\nversion: 1\nclasses:\n  - {id: A, colour: '#112233'}\n  - {id: B, colour: '#445566'}\n"
    )
    (tmp_path / "bad.yaml").write_text("name: own\n")
    dialog = NewProjectDialog(empty_bench.session, None, tmp_path)
    empty_bench.qtbot.addWidget(dialog)
    dialog.load_file(tmp_path / "bad.yaml")
    assert dialog.problem.text()
    dialog.load_file(tmp_path / "own.yaml")
    assert dialog.problem.text() == ""
    empty_bench.click(dialog.create)
    assert empty_bench.session.project.scheme.ids == ("A", "B")


def test_thumbnails_come_by_themselves(bench):
    bench.qtbot.waitUntil(lambda: len(bench.slides.list._images) == 3, timeout=20_000)


def answer(monkeypatch, button) -> list[str]:
    questions: list[str] = []

    def question(_parent, _title, words, *_rest):
        questions.append(words)
        return button

    monkeypatch.setattr(QMessageBox, "question", question)
    return questions


def test_a_slide_is_taken_out_after_a_question(bench, monkeypatch, slide_files):
    """The menu of the list takes a slide without marks out; its file stays, and adding it again brings it back."""
    questions = answer(monkeypatch, QMessageBox.StandardButton.Cancel)
    listed = bench.slides.list
    menu = listed.menu_of(listed.item(0))
    taken = next(action for action in menu.actions() if action.text() == REMOVE_WORDS)
    taken.trigger()
    assert "smear_a.tif" in questions[0]
    assert len(rows(bench)) == 3
    answer(monkeypatch, QMessageBox.StandardButton.Yes)
    taken.trigger()
    bench.settle()
    assert [r.split("\n")[0] for r in rows(bench)] == ["smear_b.tif", "field.png"]
    assert bench.session.slide.name == "smear_b.tif", "the one on screen made place for the next"
    assert slide_files[0].exists()
    listed.setFocus()
    for _ in range(2):
        bench.qtbot.keyClick(listed, Qt.Key.Key_Delete)
        bench.settle()
    assert rows(bench) == []
    assert bench.session.slide is None
    drop(bench.slides, slide_files[0])
    assert rows(bench) == ["smear_a.tif\nto do, 0 annotations"]
    assert bench.session.slide.name == "smear_a.tif"


def test_a_slide_with_annotations_stays_and_an_undo_brings_a_slide_back(bench, monkeypatch):
    reported: list[str] = []
    bench.session.message.connect(reported.append)
    questions = answer(monkeypatch, QMessageBox.StandardButton.Yes)
    bench.mark(2)
    listed = bench.slides.list
    listed.setFocus()
    bench.qtbot.keyClick(listed, Qt.Key.Key_Delete)
    assert not questions
    assert "2 annotations" in reported[-1]
    assert len(rows(bench)) == 3
    for _ in range(2):
        bench.session.history.undo()
    bench.qtbot.keyClick(listed, Qt.Key.Key_Delete)
    bench.settle()
    assert len(rows(bench)) == 2
    bench.session.history.redo()
    bench.settle()
    assert rows(bench)[0] == "smear_a.tif\nto do, 1 annotation"
    assert bench.session.slide.name == "smear_a.tif"


def test_dropped_labels_open_the_import_dialog_filled_in(bench, tmp_path):
    marks = tmp_path / "marks.json"
    marks.write_text('{"type": "FeatureCollection", "features": []}', encoding="utf-8")
    drop(bench.slides, marks)
    [dialog] = bench.slides.findChildren(ImportDialog)
    assert dialog.isVisible()
    assert dialog.format.currentData() == "geojson"
    assert dialog.source.text() == str(marks)
    bench.click(dialog.leave)
    assert len(rows(bench)) == 3


GOLDEN = Path(__file__).resolve().parents[2] / "golden"
DROPPED = {
    "apacc": ["apacc"],
    "geojson": ["geojson/qupath_0.5.geojson", "geojson"],
    "coco": ["coco/instances.json"],
    "yolo": ["yolo"],
    "cric": ["cric/cells.csv", "cric"],
    "asap": ["asap/smear_4.xml", "asap"],
    "csv": ["csv/semicolons.csv", "csv/tabs.tsv"],
    "voc": ["voc", "voc/Annotations/field_1.xml"],
    "labelstudio": ["labelstudio/export.json"],
    "labelme": ["labelme/field_1.json", "labelme"],
    "cvat": ["cvat/annotations.xml", "cvat"],
    "imagescope": ["imagescope/smear_4.xml", "imagescope"],
    "via": ["via/project.json", "via/annotations.csv"],
    "coco-results": ["coco-results/results.json"],
    "sipakmed": ["sipakmed", "sipakmed/im_Parabasal"],
}


def test_labels_of_every_format_dropped_reach_the_import_dialog(bench, tmp_path):
    """A format that the drop does not know would be laid over the slide, or refused as no slide."""
    assert set(DROPPED) == set(FORMATS)
    places = [(GOLDEN / place, name) for name, listed in DROPPED.items() for place in listed]
    packed = tmp_path / "marks.geojson.gz"
    packed.write_bytes(gzip.compress((GOLDEN / "geojson" / "qupath_0.5.geojson").read_bytes()))
    zipped = tmp_path / "export.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(GOLDEN / "labelstudio" / "export.json", "export.json")
    slides = len(rows(bench))
    for place, name in [*places, (packed, "geojson"), (zipped, "labelstudio")]:
        drop(bench.slides, place)
        [dialog] = [d for d in bench.slides.findChildren(ImportDialog) if d.isVisible()]
        assert (dialog.format.currentData(), dialog.source.text()) == (name, str(place))
        assert f"{place.name} looks like" in dialog.bar.words.text()
        dialog.reject()
    assert len(rows(bench)) == slides


def test_a_dropped_tree_of_fields_and_cropped_cells_adds_no_slides_by_itself(bench, tmp_path):
    """SIPaKMeD's cropped cells lie beside their fields; each became a slide of the project."""
    inner = tmp_path / "im_Parabasal" / "im_Parabasal"
    (inner / "CROPPED").mkdir(parents=True)
    for place in ("001.bmp", "CROPPED/001_01.bmp"):
        Image.new("RGB", (60, 50), "pink").save(inner / place)
    (inner / "001_cyt01.dat").write_text("10,10\n40,12\n38,41\n", encoding="utf-8")
    drop(bench.slides, tmp_path / "im_Parabasal")
    assert len(rows(bench)) == 3
    [dialog] = bench.slides.findChildren(ImportDialog)
    dialog.form.set_values({"add_classes": True})
    bench.click(dialog.start)
    bench.qtbot.waitUntil(lambda: "1 annotation imported" in dialog.bar.words.text(), timeout=60_000)
    assert [Path(s.path) for s in bench.session.project.slides()][3:] == [inner / "001.bmp"]
    dialog.reject()


def test_dropped_labels_without_a_project_are_a_sentence(empty_bench, tmp_path):
    (tmp_path / "marks.csv").write_text("x,y,class\n", encoding="utf-8")
    reported: list[str] = []
    empty_bench.session.message.connect(reported.append)
    drop(empty_bench.slides, tmp_path / "marks.csv")
    assert "No project is open" in reported[0]


def test_which_labels_are_dropped(tmp_path, project_folder):
    (tmp_path / "cells.csv").write_text("image_filename,bethesda_system\n", encoding="utf-8")
    (tmp_path / "coco.json").write_text('{"images": []}', encoding="utf-8")
    (tmp_path / "tree" / "train").mkdir(parents=True)
    (tmp_path / "tree" / "train" / "1_0_0.txt").write_text("", encoding="utf-8")
    (tmp_path / "dicom").mkdir()
    found = [likely_format(tmp_path / n) for n in ("cells.csv", "coco.json", "tree", "dicom", "smear_a.tif")]
    assert found == ["cric", "coco", "apacc", "", ""]
    assert likely_format(project_folder) == ""


def test_the_menu_of_a_slide_attaches_its_image(bench, tmp_path, monkeypatch):
    """19: who moved a slide, or had labels only, found no way to its image."""
    record = bench.session.project.slides()[2]
    moved = Path(shutil.move(record.path, tmp_path / "moved.png"))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_args: (str(moved), ""))
    menu = bench.slides.list.menu_of(bench.slides.list.item(2))
    assert [parts.unbroken(a.text()) for a in menu.actions()][2:4] == [
        "Attach its image file…",
        "Find missing images in a folder…",
    ]
    menu.actions()[2].trigger()
    assert bench.session.project.slide(record.id).path == str(moved)
    again = Path(shutil.move(moved, tmp_path / "again.png"))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_args: str(tmp_path))
    menu.actions()[3].trigger()
    assert bench.session.project.slide(record.id).path == str(again)


def test_two_slides_of_one_name_are_distinguished_in_the_list(bench, tmp_path):
    for who in "ab":
        (tmp_path / who).mkdir()
        shutil.copyfile(bench.session.project.slides()[2].path, tmp_path / who / "001.png")
        with (tmp_path / who / "001.png").open("ab") as file:
            file.write(who.encode())
    bench.session.slides.add([tmp_path / who / "001.png" for who in "ab"])
    assert [row.partition("\n")[0] for row in rows(bench)[3:]] == ["a/001.png", "b/001.png"]


def test_patient_of_several_slides_is_given_and_taken_back(bench, monkeypatch):
    slides, project = bench.slides, bench.session.project
    for row, modifier in ((0, Qt.KeyboardModifier.NoModifier), (1, Qt.KeyboardModifier.ControlModifier)):
        place = slides.list.visualItemRect(slides.list.item(row)).center()
        bench.qtbot.mouseClick(slides.list.viewport(), Qt.MouseButton.LeftButton, modifier, place)
    assert len(slides.list.chosen_ids) == 2

    def answer(dialog):
        dialog.show()
        bench.type(dialog.fields["patient"], "P7")
        bench.click(dialog.ok)
        return dialog.result()

    monkeypatch.setattr("napari_cyto.widgets.docks.slides.dock.SlideFactsDialog.exec", answer)
    bench.click(slides.facts)
    assert [r.patient for r in project.slides()] == ["P7", "P7", ""]
    assert "2 slides" in slides.facts_back.text()
    assert "Patient: P7" in slides.list.item(0).toolTip()
    bench.click(slides.facts_back)
    assert [r.patient for r in project.slides()] == ["", "", ""]
    assert not slides.facts_back.isVisible()


def test_an_empty_window_begins_with_adding_slides(open_window_on, monkeypatch):
    questions = []
    monkeypatch.setattr(
        "napari_cyto.widgets.docks.slides.dock.SlidesDock.ask_slides", lambda _dock: questions.append(1)
    )
    bench = open_window_on()
    welcome = bench.window.welcome
    assert welcome.isVisible()
    assert welcome.size() == welcome.parentWidget().size()
    bench.click(welcome.add)
    assert questions


def test_interpretations_are_given_undone_and_read_from_a_table(bench, monkeypatch, tmp_path):
    slides, project = bench.slides, bench.session.project
    ids = [record.id for record in project.slides()]

    def answer(dialog):
        dialog.choice.show_category("HSIL")
        dialog.date.setText("soon")
        dialog.accept()
        assert "2024-05-01" in dialog.fault.text()
        dialog.date.setText("2024-05-01")
        dialog.accept()
        return dialog.result()

    monkeypatch.setattr("napari_cyto.widgets.docks.slides._interpretation_dialog.InterpretationDialog.exec", answer)
    bench.click(slides.interpretation)
    said = project.slide(ids[0]).interpretation
    assert (said.category, said.by, said.at) == ("HSIL", bench.session.author, "2024-05-01")
    assert rows(bench)[0].endswith("annotations, HSIL")
    bench.click(slides.facts_back)
    assert project.slide(ids[0]).interpretation is None
    assert not slides.facts_back.isVisible()
    assert len(project.interpretation_history(ids[0])) == 2

    table = tmp_path / "report.csv"
    table.write_text("slide,interpretation\nsmear_a,NILM\nsmear_b,HSIL\nelsewhere,NILM\n", encoding="utf-8")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(table), ""))
    messages = []
    bench.session.message.connect(messages.append)
    slides.ask_interpretation_table()
    assert "2 slides given an interpretation" in messages[-1]
    assert "1 row of slides that the project does not have (elsewhere)" in messages[-1]
    bench.click(slides.facts_back)
    assert [record.interpretation for record in project.slides()] == [None, None, None]


def test_what_was_open_last_is_a_click_away_and_what_is_missing_is_said(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_CYTO_DATA", str(tmp_path / "user"))
    session = bench.session
    folder, said = session.project.folder, []
    session.message.connect(said.append)
    for _ in range(2):
        bench.click(bench.slides.next)

    def menu():
        bench.click(bench.slides.recent)
        return QApplication.activePopupWidget()

    def choose(beginning):
        shown = menu()
        action = next(a for a in shown.actions() if a.text().startswith(beginning))
        bench.qtbot.mouseClick(shown, Qt.MouseButton.LeftButton, pos=shown.actionGeometry(action).center())
        bench.settle()

    shown = menu()
    texts = [action.text() for action in shown.actions() if action.text()]
    assert texts == [
        *("Projects", f"Smears  ({folder.parent})", "Slides", "field.png  (Smears)", "smear_b.tif  (Smears)"),
        "smear_a.tif  (Smears)",
        "Clear this list",
    ]
    shown.close()
    choose("smear_b.tif")
    assert session.slide.name == "smear_b.tif"
    session.projects.close()
    choose("field.png")
    assert (session.project.folder, session.slide.name) == (folder, "field.png")
    session.projects.close()
    folder.rename(tmp_path / "elsewhere.cyto")
    (tmp_path / "smear_b.tif").unlink()
    choose("smear_b.tif  (Smears): project folder not found")
    assert session.project is None
    assert "is not in" in said[-1]
    assert "Open it from where it is now" in said[-1]
    choose("Clear this list")
    assert recent.load() == recent.RecentList()
    (tmp_path / "user" / "recent.json").write_text('{"projects": [{"folder": 3}], "slides": []}')
    assert recent.load() == recent.RecentList()
