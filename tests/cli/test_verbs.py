"""Guards the command line's manners: exit codes, one sentence on stderr, JSON on stdout, a quick start."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from napari_cyto import __version__
from napari_cyto.cli import main, verbs
from napari_cyto.cli.entry import json_last, run
from napari_cyto.errors import CytoError

VERBS = (
    "demo",
    "open",
    "info",
    "import",
    "export",
    "attention",
    "audit",
    "teach",
    "map",
    "similar",
    "label-errors",
    "project",
    "reading",
    "schemes",
    "evaluate",
    "models",
    "report",
    "train",
    "predict",
    "embed",
    "extract",
    "measure",
    "outline",
    "relink",
    "slides",
)


def refusal(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a verb that must refuse, and return its sentence."""
    assert run(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("\n")
    assert err.count("\n") == 1
    return err.strip()


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(verb in out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"napari-cyto {__version__}\n"


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["frobnicate"], "frobnicate"),
        (["info"], "SLIDE"),
        (["train", "classifier", "--data", "folders:x", "--out", "y", "--scale-by-nuclei"], "with an encoder"),
        (["train", "encoder", "--data", "images:nowhere", "--out", "y", "--cross-validate", "3"], "evaluate encoders"),
        (["info", "--no-such-option", "x"], "--no-such-option"),
        (["export", "nosuch", "a", "b"], "nosuch"),
        (["import", "nosuch", "a", "b"], "nosuch"),
        (["info", "/no/such/slide.svs"], "slide.svs"),
        (["audit", "/no/such/folder"], "folder"),
        (["open", "/no/such/slide.svs"], "slide.svs"),
        (["open", "mysql://ana@server/smears"], "got an address of mysql"),
        (["demo", "--headless"], "--out"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(argv: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert word in refusal(argv, capsys)


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("seen")

    monkeypatch.setattr("napari_cyto.cli.inspect_verbs.schemes", broken)
    with pytest.raises(ZeroDivisionError, match="seen"):
        run(["schemes"])


def test_the_sentence_of_an_error_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise CytoError("one\nline  only")

    monkeypatch.setattr("napari_cyto.cli.inspect_verbs.schemes", refuse)
    assert refusal(["schemes"], capsys) == "one line only"


def test_ctrl_c_says_so_and_exits_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_cyto.cli.inspect_verbs.schemes", pressed)
    assert run(["schemes"]) == 130
    assert "untouched" in capsys.readouterr().err


def test_json_may_stand_anywhere() -> None:
    assert json_last(["export", "--json", "apacc", "P", "O"]) == ["export", "apacc", "P", "O", "--json"]
    assert json_last(["info", "--", "--json"]) == ["info", "--", "--json"]


def test_schemes_are_reported_to_machines_and_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schemes", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {s["name"] for s in printed["schemes"]} == {"bethesda", "bethesda-full", "bethesda-4", "apacc", "ki67"}
    assert run(["schemes"]) == 0
    assert "HSIL" in capsys.readouterr().out


def test_main_leaves_with_the_exit_code() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0


def test_starting_loads_nothing_heavy() -> None:
    heavy = ("napari", "torch", "qtpy", "PyQt5", "PyQt6", "numpy", "openslide", "sqlalchemy", "dask", "skimage")
    code = (
        "import sys, napari_cyto.cli.verbs as v, napari_cyto.cli.entry; v.build(['--help']);"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_core_needs_no_window(tmp_path: Path) -> None:
    """Every part but the widgets imports where Qt, napari and torch are forbidden, less the networks' own files."""
    code = (
        "import importlib, pathlib, pkgutil, re, sys\n"
        "class Forbidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in {'napari', 'torch', 'qtpy', 'superqt', 'magicgui', 'vispy',\n"
        "                                      'PyQt5', 'PyQt6', 'PySide6'}:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Forbidden())\n"
        "import napari_cyto\n"
        "for m in pkgutil.walk_packages(napari_cyto.__path__, 'napari_cyto.'):\n"
        "    if '.widgets' in m.name or m.name.endswith('__main__'):\n"
        "        continue\n"
        "    try:\n"
        "        importlib.import_module(m.name)\n"
        "    except ImportError:\n"
        "        file = pathlib.Path(m.module_finder.path, m.name.rpartition('.')[2] + '.py')\n"
        "        own = re.search(r'^(?:import|from) torch', file.read_text('utf-8'), re.M)\n"
        "        if not own and not re.search(r'_task$|inference\\.(engine|loaded|run)', m.name):\n"
        "            raise\n"
        "print('ok')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout.strip() == "ok", done.stderr


def test_verbs_are_what_the_readme_says() -> None:
    assert {c.name for c in verbs.build([]).registered_commands} | {
        g.name for g in verbs.build([]).registered_groups
    } == set(VERBS)


@pytest.mark.parametrize(
    "argv",
    [
        ["audit", "x" * 300],
        ["info", "x" * 300],
        ["info", "/"],
        ["import", "geojson", "x" * 300, "a.cyto"],
        ["import", "csv", "labels.csv", "labels.csv/a.cyto"],
        ["export", "csv", "x" * 300, "out"],
    ],
    ids=lambda argv: " ".join(w[:10] for w in argv),
)
def test_what_the_system_refuses_is_one_sentence(
    argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("labels.csv").write_text("x,y,label\n1,2,HSIL\n", encoding="utf-8")
    assert refusal(argv, capsys)
    assert [p.name for p in tmp_path.iterdir()] == ["labels.csv"]


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_names_that_the_systems_pipe_cannot_carry_are_reported_all_the_same(
    option: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "жук.png")
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", pipe)
    assert run(["info", str(tmp_path / "жук.png"), *option]) == 0
    pipe.flush()
    printed = pipe.buffer.getvalue().decode("cp1252")
    assert r"\u0436\u0443\u043a.png" in printed
    assert not option or json.loads(printed)["path"].endswith("жук.png")
