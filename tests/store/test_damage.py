"""Promise: a damaged database is found when it is opened, loses nothing in silence, and is never written into."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_cyto.cli.entry import run
from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import Point
from napari_cyto.errors import DamagedError, StoreError
from napari_cyto.session import Session
from napari_cyto.store import Project
from napari_cyto.store.database import inspection
from napari_cyto.store.recovery import maintenance as care
from tests.store.strangers import make_project, with_value

Harm = Callable[[bytearray, random.Random], None]


def _flip_byte(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(len(content))] ^= chance.randrange(1, 256)


def _flip_many(content: bytearray, chance: random.Random) -> None:
    for _ in range(20):
        _flip_byte(content, chance)


def _flip_header(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(16, 100)] ^= chance.randrange(1, 256)


def _flip_schema(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(100, 4096)] ^= chance.randrange(1, 256)


def _flip_page_head(content: bytearray, chance: random.Random) -> None:
    page = chance.randrange(1, len(content) // 4096)
    content[page * 4096 + chance.randrange(12)] ^= chance.randrange(1, 256)


def _zero_page(content: bytearray, chance: random.Random) -> None:
    page = chance.randrange(1, len(content) // 4096)
    content[page * 4096 : (page + 1) * 4096] = bytes(4096)


def _swap_pages(content: bytearray, chance: random.Random) -> None:
    a, b = (4096 * chance.randrange(1, len(content) // 4096) for _ in range(2))
    content[a : a + 4096], content[b : b + 4096] = content[b : b + 4096], content[a : a + 4096]


def _truncate(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(1, len(content)) :]


_HARMS: tuple[Harm, ...] = (
    _flip_byte,
    _flip_many,
    _flip_header,
    _flip_schema,
    _flip_page_head,
    _zero_page,
    _swap_pages,
    _truncate,
)
_CELLS = [Annotation(slide_id="one", geometry=Point(1 + i % 97, 2 + i), class_id="HSIL") for i in range(300)]
# What has no twin: words and moments. A byte that changed in them is another word, which nothing can tell.
_Seen = tuple[object, ...]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage") / "sound.cyto"
    make_project(folder)
    with Project.open(folder) as project:
        project.apply(add(_CELLS, "Import"), "Ana")
    shutil.rmtree(folder / "backups")
    return folder


def _read(project: Project) -> _Seen:
    """Return what must not be lost or altered unseen: which cells there are, where, of which class and status."""
    cells = sorted((a.id, a.slide_id, a.geometry.bounds_yxyx, a.class_id, a.status) for a in project.annotations())
    in_view = sorted(a.id for s in project.slides() for a in project.in_box(s.id, (-1e6, -1e6, 1e6, 1e6)))
    return cells, in_view, project.counts(), [entry.count for entry in project.history()]


def _tried(folder: Path, expected: _Seen) -> str:
    """Open a harmed project, read it and write into it; return what became of that."""
    file = folder / "project.sqlite"
    before = file.read_bytes()
    sentence = ""
    try:
        with Project.open(folder) as project:
            assert _near(_read(project), expected), "lost or altered in silence"
            project.apply(add([Annotation(slide_id="one", geometry=Point(5, 5), class_id="HSIL")], "Draw"), "Ana")
            assert len(list(project.annotations())) == len(expected[0]) + 1  # type: ignore[arg-type]
    except StoreError as error:
        sentence = str(error)
    if not sentence:
        return "sound"
    assert "\n" not in sentence
    assert file.read_bytes() == before
    return sentence


def _near(seen: _Seen, expected: _Seen) -> bool:
    """Whether two readings are the same; places within a thousandth of their value, which the index cannot tell."""
    for (*one, a, b, c), (*other, x, y, z) in zip(seen[0], expected[0], strict=True):  # type: ignore[call-overload]
        if (one, b, c) != (other, y, z) or any(abs(p - q) > 1e-3 * abs(q) for p, q in zip(a, x, strict=True)):
            return False
    return seen[1:] == expected[1:]


def _try_all(sound: Path, place: Path, seeds: range) -> list[str]:
    with Project.open(sound) as project:
        expected = _read(project)
    whole = (sound / "project.sqlite").read_bytes()
    outcomes = []
    place.mkdir()
    for seed in seeds:
        chance = random.Random(seed)
        content = bytearray(whole)
        _HARMS[seed % len(_HARMS)](content, chance)
        for left in place.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        (place / "project.sqlite").write_bytes(content)
        outcomes.append(_tried(place, expected))
    return outcomes


def test_damage_anywhere_is_a_sentence_or_no_harm(sound: Path, tmp_path: Path) -> None:
    outcomes = _try_all(sound, tmp_path / "harmed.cyto", range(32))
    assert sum(outcome != "sound" for outcome in outcomes) > 16


@pytest.mark.nightly
@pytest.mark.timeout(3_600)
def test_damage_anywhere_is_a_sentence_or_no_harm_however_often(sound: Path, tmp_path: Path) -> None:
    _try_all(sound, tmp_path / "harmed.cyto", range(32, 2_000))


@pytest.mark.parametrize("harm", [_zero_page, _flip_page_head])
def test_a_large_damaged_database_is_found_before_anything_is_stored(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: Harm
) -> None:
    """What is too large to be looked through at once is looked through in the background."""
    monkeypatch.setattr(inspection, "CHECKED_AT_ONCE_BYTES", 0)
    whole = (sound / "project.sqlite").read_bytes()
    found = 0
    for seed in range(8):
        content = bytearray(whole)
        harm(content, random.Random(seed))
        folder = tmp_path / f"large{seed}.cyto"
        folder.mkdir()
        (folder / "project.sqlite").write_bytes(content)
        try:
            project = Project.open(folder)
        except StoreError:
            found += 1
            continue
        with pytest.raises(DamagedError, match="is damaged or foreign"):
            project.apply(add([Annotation(slide_id="one", geometry=Point(5, 5), class_id="HSIL")], "Draw"), "Ana")
        assert project.damage
        with pytest.raises(DamagedError), project:
            pass
        assert (folder / "project.sqlite").read_bytes() == content
        found += 1
    assert found == 8


def test_a_large_sound_database_is_written_after_its_check(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "CHECKED_AT_ONCE_BYTES", 0)
    folder = Path(shutil.copytree(sound, tmp_path / "large.cyto"))
    with Project.open(folder) as project:
        project.apply(add([Annotation(slide_id="one", geometry=Point(5, 5), class_id="HSIL")], "Draw"), "Ana")
        assert not project.damage


def test_a_window_shows_what_can_be_read_of_a_damaged_project(sound: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sound, tmp_path / "damaged.cyto"))
    content = bytearray((folder / "project.sqlite").read_bytes())
    place = content.rindex(b"history_of_author") if b"history_of_author" in content[4096:] else len(content) - 4096
    content[place : place + 64] = b"\xa5" * 64
    (folder / "project.sqlite").write_bytes(content)
    session = Session(author="Ana")
    heard: list[str] = []
    session.message.connect(heard.append)
    session.projects.open(folder)
    assert session.project is not None
    assert not session.project.writable
    assert any("is damaged or foreign" in text and "nothing can be saved in it" in text for text in heard)
    session.poll()
    assert sum("is damaged" in text for text in heard) == 1
    session.close()
    assert (folder / "project.sqlite").read_bytes() == content


# Rescue


def _rescue_all(sound: Path, place: Path, seeds: range) -> None:
    with Project.open(sound) as project:
        everything = list(project.annotations())
    whole = (sound / "project.sqlite").read_bytes()
    for seed in seeds:
        content = bytearray(whole)
        _HARMS[seed % len(_HARMS)](content, random.Random(seed))
        harmed, out = place / f"{seed}.cyto", place / f"{seed} rescued.cyto"
        harmed.mkdir(parents=True)
        (harmed / "project.sqlite").write_bytes(content)
        try:
            came = care.rescue(harmed, out)
        except StoreError as error:
            sentence = str(error)
            assert "Nothing of a project can be read" in sentence
            assert not out.exists()
            continue
        assert (harmed / "project.sqlite").read_bytes() == content
        assert care.check(out) == []
        with Project.open(out) as project:
            saved = list(project.annotations())
            assert len(saved) == came.annotations
            new = Annotation(slide_id=project.slides()[0].id, geometry=Point(1, 2), class_id=project.scheme.ids[0])
            project.apply(add([new], "Draw"), "Ana")
        if len(saved) < len(everything):
            assert came.lost, f"{len(everything) - len(saved)} annotations are gone in silence"
        shutil.rmtree(harmed)
        shutil.rmtree(out)


def test_a_rescue_saves_what_can_be_read_and_lists_what_is_gone(sound: Path, tmp_path: Path) -> None:
    _rescue_all(sound, tmp_path, range(8))


@pytest.mark.nightly
@pytest.mark.timeout(3_600)
def test_a_rescue_is_sound_however_often(sound: Path, tmp_path: Path) -> None:
    _rescue_all(sound, tmp_path, range(8, 1_000))


def test_a_rescue_of_a_sound_project_loses_nothing(sound: Path, tmp_path: Path) -> None:
    came = care.rescue(sound, tmp_path / "again.cyto")
    assert came.lost == []
    with Project.open(sound) as before, Project.open(tmp_path / "again.cyto") as after:
        assert list(after.annotations()) == list(before.annotations())
        assert [(e.label, e.count) for e in after.history()] == [(e.label, e.count) for e in before.history()]
        assert (after.name, after.scheme, after.slides()) == (before.name, before.scheme, before.slides())
        assert after.undo("Ana") is not None


def test_a_rescue_finds_the_rows_of_a_lost_page_among_those_of_others(sound: Path, tmp_path: Path) -> None:
    """A page of versions is gone: their annotations are named, all others are there."""
    content = bytearray((sound / "project.sqlite").read_bytes())
    pages = range(4096, len(content), 4096)
    gone = next(i for i in pages if content[i] == 0x0D and content[i : i + 4096].count(b"drawn") > 9)
    content[gone : gone + 4096] = bytes(4096)
    harmed = tmp_path / "harmed.cyto"
    harmed.mkdir()
    (harmed / "project.sqlite").write_bytes(content)
    came = care.rescue(harmed, tmp_path / "out.cyto")
    with Project.open(sound) as project:
        there = sum(project.counts().values())
    assert 0 < there - came.annotations < 60
    assert any(text.startswith(f"{there - came.annotations:,} annotations: ") for text in came.lost)


def test_the_verb_rescue_lists_what_is_gone(sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["project", "rescue", str(sound), str(tmp_path / "out.cyto"), "--json"]) == 0
    assert '"lost": []' in capsys.readouterr().out
    assert run(["project", "rescue", str(sound), str(tmp_path / "out.cyto")]) == 2
    assert "already exists" in capsys.readouterr().err
    assert run(["project", "rescue", str(tmp_path / "nowhere.cyto"), str(tmp_path / "new.cyto")]) == 2
    assert not (tmp_path / "new.cyto").exists()


def test_a_rescue_keeps_a_cell_whose_class_is_garbage(sound: Path, tmp_path: Path) -> None:
    """A flipped byte in a class id makes no id of it; the cell is kept, and its class is told to be lost."""
    harmed = Path(shutil.copytree(sound, tmp_path / "harmed.cyto"))
    with_value(harmed, "version", "class_id", "H\x19IL")
    came = care.rescue(harmed, tmp_path / "out.cyto")
    assert any("'class_id'" in text for text in came.lost)
    with Project.open(tmp_path / "out.cyto") as project:
        assert set(project.counts()) == {"unreadable class"}
