"""Guards what is said of a team's database: sentences of ours, in which no password ever is; no server is needed."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from napari_cyto.cli.entry import run as command_line
from napari_cyto.errors import StoreError
from napari_cyto.files.user_folders import DATA_VARIABLE
from napari_cyto.store import Project
from napari_cyto.store.database import _postgresql as postgresql
from napari_cyto.store.database import links as database_links
from napari_cyto.store.database._postgresql import CommitWitness, explain, shown

SECRET = "Zu#gEheim"
URL = "postgresql://ana:Zu%23gEheim@lab.example:5433/smears"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder, and a driver, for what needs no server."""
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    monkeypatch.setenv("NAPARI_CYTO_DATABASES", "{}")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())
    return tmp_path


class DriverError(Exception):
    def __init__(self, code: str | None, words: str = "") -> None:
        super().__init__(words)
        self.sqlstate = code


@pytest.mark.parametrize(
    ("code", "words", "sentence"),
    [
        (None, 'connection failed: FATAL:  password authentication failed for user "ana"', "user and password"),
        (None, "fe_sendauth: no password supplied", "user and password"),
        (None, 'FATAL:  no pg_hba.conf entry for host "10.0.0.7", user "ana"', "user and password"),
        (None, 'FATAL:  database "smears" does not exist', "no such database"),
        (None, "connection timeout expired", "cannot be reached"),
        (None, "failed to resolve host 'lab.example': [Errno -2] Name or service not known", "cannot be reached"),
        (None, "Verbindungsaufbau abgelehnt", "cannot be reached"),
        (None, "consuming input failed: server closed the connection unexpectedly", "was cut"),
        (None, "PostgreSQL text fields cannot contain NUL (0x00) bytes", "a zero byte"),
        ("55P03", "canceling statement due to lock timeout", "is being written by another program"),
        ("40P01", "deadlock detected", "is being written by another program"),
        ("57014", "canceling statement due to statement timeout", "did not finish a step in 600 s"),
        ("57P01", "terminating connection due to administrator command", "was cut"),
        ("53100", "could not extend file", "The disk of the server"),
        ("53300", "sorry, too many clients already", "no connection free"),
        ("42501", "permission denied for table project", "does not allow"),
        ("42P01", 'relation "project" does not exist', "There is no project in"),
        ("25006", "cannot execute UPDATE in a read-only transaction", "for reading only"),
        ("22P05", "character has no equivalent", "encoding is not UTF8"),
        ("P0001", f"raised by somebody: {SECRET}", "PostgreSQL error P0001"),
    ],
)
def test_what_the_driver_says_becomes_a_sentence(code: str | None, words: str, sentence: str) -> None:
    said = str(explain(DriverError(code, words), "postgresql://ana@lab.example/smears"))
    assert sentence in said
    assert "postgresql://ana@lab.example/smears" in said or "zero byte" in said
    if words:
        assert words not in said


@given(st.text(min_size=1, max_size=20).filter(lambda t: t.strip()))
def test_no_password_is_ever_shown(password: str) -> None:
    address = sqlalchemy.URL.create(
        "postgresql+psycopg", "u", password, "h", 5432, "d", {"password": password, "a": "b"}
    )
    assert shown(address) == "postgresql://u@h:5432/d?a=b"


@pytest.mark.parametrize(
    "word",
    [
        f"postgresql://ana:{SECRET}@[bad",
        f"postgres://ana:{SECRET}@host:99x/smears",
        f"postgresql+other://ana:{SECRET}@host/smears",
        f"postgresql://ana:{SECRET}@host",
        f"postgresql:/ana:{SECRET}@host/smears",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_words(
    home: Path, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    assert command_line(["audit", word]) == 2
    said = capsys.readouterr()
    assert "Expected the address of a PostgreSQL database" in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert SECRET not in said.err + said.out


def test_words_of_a_command_get_a_folder_in_the_place_of_an_address(home: Path) -> None:
    words = database_links.with_folders(
        ["evaluate", "model", "--data", f"{URL}@0.25,map=herlev", f"--out={URL}", "my postgresql://x", "p.cyto"]
    )
    folder = words[3].removesuffix("@0.25,map=herlev")
    assert Path(folder).parent == home / "databases"
    assert words == ["evaluate", "model", "--data", f"{folder}@0.25,map=herlev", f"--out={folder}", *words[5:]]
    assert words[5:] == ["my postgresql://x", "p.cyto"]
    assert SECRET not in " ".join(words)
    assert "%23" not in " ".join(words)
    for path in home.rglob("*"):
        assert SECRET not in path.name
        assert path.is_dir() or (SECRET not in path.read_text() and "%23" not in path.read_text())
    # For this process and those that it starts.
    assert database_links.address_of(Path(folder)) == URL.replace("postgresql:", "postgresql+psycopg:")
    assert database_links.address_of(Path("relative.cyto")) is None


def test_a_folder_of_a_stranger_connects_to_nobody(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere" / "databases" / "x.cyto"
    folder.mkdir(parents=True)
    folder.with_name("x.cyto.url").write_text("postgresql://attacker.example/x\n")
    assert database_links.address_of(folder) is None
    assert not Project.is_project(folder)


def test_without_the_driver_the_extra_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(StoreError, match=r"napari-cyto\[postgresql\]"):
        Project.folder_of(URL)


class Server:
    """Answers what became of a transaction, after a while without any answer."""

    def __init__(self, *answers: str | Exception | None) -> None:
        self.answers = list(answers)

    def dispose(self) -> None:
        """Nothing is pooled."""

    @contextmanager
    def connect(self) -> Iterator[Any]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        yield SimpleNamespace(execute=lambda *_: SimpleNamespace(scalar_one=lambda: answer))


GONE = OperationalError("", {}, Exception("server closed the connection"))


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (("committed",), None),
        ((GONE, GONE, "in progress", "committed"), None),
        (("aborted",), "nothing of it is there"),
        ((GONE, "in progress", "aborted"), "nothing of it is there"),
        ((GONE,), "look at the last step of the history before you repeat it"),
        ((None,), "look at the last step of the history before you repeat it"),
    ],
)
def test_a_commit_without_an_answer_is_looked_up(
    monkeypatch: pytest.MonkeyPatch, answers: tuple[Any, ...], sentence: str | None
) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr(postgresql, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _s: None))
    witness = CommitWitness(Server(*answers), "postgresql://lab/smears")  # type: ignore[arg-type]
    if sentence is None:
        witness.look_up(7)
        return
    with pytest.raises(StoreError, match=sentence):
        witness.look_up(7)


def test_damaged_notes_of_passwords_are_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Project.folder_of(URL)
    for text in ("{", "[]", json.dumps({"other": URL})):
        monkeypatch.setenv("NAPARI_CYTO_DATABASES", text)
        assert database_links.address_of(folder) == "postgresql://ana@lab.example:5433/smears"
