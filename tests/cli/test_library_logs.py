"""Guards that what libraries log never stands beside the one sentence on stderr, and is kept for who looks for it."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import pytest

from napari_cyto.cli import inspect_verbs as reports
from napari_cyto.cli.entry import run
from napari_cyto.errors import CytoError
from napari_cyto.files import user_folders as places


@pytest.fixture(autouse=True)
def noisy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A verb whose libraries log and warn before it fails; returns where that is kept."""

    def schemes(_as_json: bool) -> None:
        logging.getLogger("distributed.worker").error("Worker stream died during communication")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("OpenVINO will be renamed", stacklevel=1)
        raise CytoError("One sentence.")

    monkeypatch.setattr(reports, "schemes", schemes)
    monkeypatch.setenv(places.CACHE_VARIABLE, str(tmp_path))
    return tmp_path / "logs" / "napari-cyto.log"


@pytest.mark.filterwarnings("always")
def test_stderr_has_the_sentence_and_a_file_the_rest(noisy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handlers = list(logging.getLogger().handlers)
    assert run(["schemes"]) == 2
    assert capsys.readouterr().err == "One sentence.\n"
    assert "Worker stream died" in noisy.read_text(encoding="utf-8")
    assert logging.getLogger().handlers == handlers


@pytest.mark.parametrize(
    "words", [["--verbose", "schemes"], ["schemes", "--verbose"], ["schemes", "--json", "--verbose"]]
)
def test_verbose_shows_them(noisy: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert run(words) == 2
    said = capsys.readouterr().err
    assert "distributed.worker ERROR Worker stream died" in said
    assert said.endswith("One sentence.\n")
    assert not noisy.exists()


def test_a_log_that_cannot_be_written_is_no_matter(
    noisy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy.mkdir(parents=True)
    assert run(["schemes"]) == 2
    assert capsys.readouterr().err == "One sentence.\n"
    noisy.rmdir()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(logging.FileHandler, "emit", lambda self, record: self.handleError(record))
    monkeypatch.setattr(logging.FileHandler, "flush", full)
    assert run(["schemes"]) == 2
    assert capsys.readouterr().err == "One sentence.\n"


def test_a_long_log_begins_anew(noisy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(["schemes"])
    size = noisy.stat().st_size
    monkeypatch.setattr(places, "LOG_BYTES", size - 1)
    run(["schemes"])
    assert noisy.stat().st_size == size
