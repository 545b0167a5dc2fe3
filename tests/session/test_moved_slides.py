"""Promise: a slide that moved takes its old place in the project, and a project that cannot be written opens."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from napari_cyto.domain.presets import preset
from napari_cyto.session import Session
from napari_cyto.store import Project


def png(path: Path, tint: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48), (200, 180, tint)).save(path)
    return path


@pytest.fixture
def opened(tmp_path: Path) -> tuple[Session, list[str]]:
    session, said = Session("me"), list[str]()
    session.message.connect(said.append)
    session.projects.create(tmp_path / "p.cyto", preset("bethesda"))
    return session, said


def test_added_from_its_new_place_it_is_the_slide_that_it_was(opened, tmp_path: Path) -> None:
    """19: it was recognised, yet the project went on looking for it at its old place."""
    session, said = opened
    (first,) = session.slides.add([png(tmp_path / "S2.png")])
    session.close()
    moved = (tmp_path / "S2.png").rename(tmp_path / "far.png")
    session.projects.open(tmp_path / "p.cyto")
    (again,) = session.slides.add([moved])
    assert again.id == first.id
    session.slides.go_to(again.id)
    assert session.open_slide_handle is not None
    assert any("was found at" in text for text in said)
    assert len(session.project.slides()) == 1
    session.close()


def test_a_copy_is_not_added_twice_and_it_is_said(opened, tmp_path: Path) -> None:
    session, said = opened
    first = png(tmp_path / "a.png")
    shutil.copyfile(first, tmp_path / "b.png")
    records = session.slides.add([first, tmp_path / "b.png", png(tmp_path / "c.png", 7)])
    assert len({record.id for record in records}) == 2
    assert any("was not added again" in text for text in said)
    session.close()


def test_images_are_attached_one_by_one_or_from_a_folder(opened, tmp_path: Path) -> None:
    session, said = opened
    records = session.slides.add([png(tmp_path / "x" / f"{k}.png", k) for k in range(3)])
    session.close()
    (tmp_path / "x").rename(tmp_path / "y")
    session.projects.open(tmp_path / "p.cyto")
    assert session.open_slide_handle is None
    session.slides.relink(records[2].id, tmp_path / "y" / "2.png")
    session.slides.relink_in(tmp_path / "y")
    assert session.open_slide_handle is not None
    assert "2 slides were given image files." in said
    session.close()


def test_a_project_that_cannot_be_written_is_shown_and_it_is_said(
    opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, said = opened
    records = session.slides.add([png(tmp_path / f"{k}.png", k) for k in range(2)])
    session.close()
    folder = tmp_path / "p.cyto"
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or Path(path) != folder)
    session.projects.open(folder)
    assert "is read-only" in said[-1]
    session.slides.go_to(records[1].id)
    session.slides.next(-1)
    assert session.open_slide_handle is not None
    session.close()


def test_two_patients_of_one_name_in_read_only_folders_have_two_projects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """28: both were kept in ~/napari-cyto/001.cyto, without a word."""
    from napari_cyto.widgets.docks.slides.open_paths import open_paths

    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or Path(path).name not in ("A", "B"))
    slides = [png(tmp_path / who / "001.png", ord(who)) for who in "AB"]
    folders = []
    for slide in (*slides, *slides):
        session = Session("me")
        open_paths(session, [slide])
        folders.append(session.project.folder)
        assert [Path(record.path) for record in session.project.slides()] == [slide]
        session.close()
    assert folders[:2] == folders[2:]
    assert len(set(folders)) == 2
    assert all(Project.is_project(folder) for folder in folders)


def test_two_windows_that_open_one_new_slide_share_its_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_cyto.widgets.docks.slides import open_paths as opening

    slide, first, second = png(tmp_path / "new.png"), Session("anna"), Session("ben")
    opening.open_beside(first, slide)
    folder = first.need_project().folder
    # The second one looked before the first had made it.
    looked = iter([False])
    monkeypatch.setattr(opening, "project_beside", lambda _: folder)
    monkeypatch.setattr(opening.Project, "is_project", staticmethod(lambda _: next(looked, True)))
    opening.open_beside(second, slide)
    assert second.need_project().folder == folder
    first.close()
    second.close()
