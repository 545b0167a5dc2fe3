"""Guards that the nightly environment runs every long test, wherever it stands, with all that these need."""

from __future__ import annotations

import configparser
import shlex
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def test_the_nightly_environment_runs_the_long_tests_of_all_parts(request: pytest.FixtureRequest) -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(REPOSITORY / "tox.ini", encoding="utf-8")
    nightly = tox["testenv:nightly"]
    assert {"test", "gui-test", "models", "cluster", "openvino", "pyqt5"} <= set(nightly["extras"].split())
    assert "HYPOTHESIS_PROFILE = nightly" in nightly["set_env"]
    long_tests, clients = nightly["commands"].strip().splitlines()
    assert clients == "python -m tox run -e clients", "what other programs read is tried each night as well"
    assert nightly.getboolean("ignore_errors"), "whatever the long tests found"
    words = shlex.split(long_tests)
    assert words[words.index("-m") + 1] == "nightly or fuzzed"
    # Words of the caller's stand in the place of the folder, which is the default then.
    assert words[-1] == "{posargs:tests}"
    assert request.config.getini("testpaths") == ["tests"]


def test_qt_6_runs_the_smoke_tests_on_each_push_and_every_test_of_the_window_at_night() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(REPOSITORY / "tox.ini", encoding="utf-8")
    pushed, nightly = tox["testenv:gui-pyqt6"], tox["testenv:nightly-pyqt6"]
    assert "gui-pyqt6" in tox["tox"]["env_list"]
    assert "-m smoke" in pushed["commands"]
    assert " -m " not in nightly["commands"]
    assert nightly["commands"].strip().endswith("{posargs:tests/widgets}")
    assert nightly["deps"] == "{[testenv:gui-pyqt6]deps}"
    marked = "pytestmark = pytest.mark.smoke"
    files = (REPOSITORY / "tests" / "widgets").rglob("test_*.py")
    assert any(marked in file.read_text(encoding="utf-8") for file in files)
