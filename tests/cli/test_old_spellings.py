"""Promise: command lines of earlier versions do what they did, and a hint on stderr says how they are written today."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from napari_cyto.cli.entry import run
from napari_cyto.jobs.events import Done, Event

# Options of `export apacc` until the split had one vocabulary; --pad-224 is a shorthand that stays.
RENAMED = (
    ("--new-split", "--no-published"),
    ("--all-to-train", "--test-share 0"),
    ("--check-duplicates", "--twins"),
    ("--no-check-duplicates", "--no-twins"),
    ("--allow-leak because", "--overrides leak --reason because"),
    ("--new-split --allow-leak because", "--no-published --overrides leak --reason because"),
    ("--pad-224", "--pad-crops-px 224"),
)


class Nothing:
    """The result of an export that wrote nothing."""

    def to_json(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The options with which exports were begun."""
    seen: list[Any] = []

    def export(_format: str, _project: object, _out: object, options: Any, _token: object) -> Iterator[Event]:
        seen.append(options)
        yield Done(Nothing())

    monkeypatch.setattr("napari_cyto.datasets.export", export)
    return seen


@pytest.mark.parametrize(("old", "new"), RENAMED)
def test_a_renamed_option_does_the_same_and_says_its_new_name(
    old: str, new: str, requests: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "apacc", "p.cyto", "out", *new.split()]) == 0
    assert capsys.readouterr().err == ""
    assert run(["export", "apacc", "p.cyto", "out", *old.split()]) == 0
    hints = capsys.readouterr().err.splitlines()
    assert requests[0] == requests[1]
    changed = [word for word in old.split() if word.startswith("--") and word != "--pad-224"]
    assert [hint.split()[:2] for hint in hints] == [
        ["Hint:", word.replace("--no-check", "--check")] for word in changed
    ]


def test_no_old_option_is_offered_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "apacc", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--published" in shown
    assert not [old for old, _ in RENAMED if old != "--pad-224" and old.split()[0] in shown]
