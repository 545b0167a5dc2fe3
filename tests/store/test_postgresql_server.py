"""Guards projects in a real PostgreSQL, which is started here; skipped where there is none, or no driver.

What can be guarded without a server is in test_postgresql_messages.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_cyto.cli.entry import run as command_line
from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.annotation_rows import ID, KIND, annotation_of
from napari_cyto.domain.annotation_source import AnnotationSource
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import StoreError
from napari_cyto.files.user_folders import DATA_VARIABLE
from napari_cyto.store import Project
from napari_cyto.store.database import _postgresql as postgresql
from napari_cyto.store.reading_gate import GIVEN, place_of_reading

pytest.importorskip("psycopg", reason="the extra [postgresql] is not installed")

PASSWORD = "Geh3im-und-l4ng"


def _postgres() -> Path | None:
    found = [Path(p) for p in (shutil.which("initdb"),) if p] + sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].resolve().parent if found else None


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Server:
    """A PostgreSQL of one's own, which can be killed."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder, self.port = programs, folder, _free_port()
        self.user: list[str] = []
        if os.getuid() == 0:
            # It refuses to run as root.
            self.user = ["runuser", "-u", "nobody", "--"]
            shutil.chown(folder, "nobody")
        word = folder / "pw"
        word.write_text(PASSWORD)
        word.chmod(0o644)
        make = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", "ana", "-A", "scram-sha-256", "-E", "UTF8"]
        subprocess.run([*self.user, *make, "--no-sync", f"--pwfile={word}"], check=True, capture_output=True)
        self.start()

    def start(self) -> None:
        settings = [f"unix_socket_directories={self.folder}", "listen_addresses=127.0.0.1", "fsync=off"]
        words = [part for each in settings for part in ("-c", each)]
        self.process = subprocess.Popen(
            [
                *self.user,
                str(self.programs / "postgres"),
                "-D",
                str(self.folder / "data"),
                "-p",
                str(self.port),
                *words,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        end_s = time.monotonic() + 60
        while True:
            try:
                self.sql("postgres", "SELECT 1")
                return
            except Exception:  # noqa: BLE001  any, while it starts
                assert time.monotonic() < end_s
                time.sleep(0.1)

    def sql(self, database: str, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)

    def url(self, database: str, port: int | None = None) -> str:
        return f"postgresql://ana:{PASSWORD}@127.0.0.1:{port or self.port}/{database}"

    def stop(self) -> None:
        """End it at once, without a word to those that are connected."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGQUIT)
        self.process.wait(60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    programs = _postgres()
    if programs is None or sys.platform == "win32":
        pytest.skip("no PostgreSQL server is installed here")
    if os.getuid() == 0 and shutil.which("runuser") is None:
        pytest.skip("PostgreSQL does not run as root, and there is no runuser")
    # Not below pytest's own folder, which another user cannot enter.
    import tempfile

    with tempfile.TemporaryDirectory(prefix="cyto-pg-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        made = Server(programs, Path(folder))
        yield made
        made.stop()


@pytest.fixture
def url(server: Server, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """An empty database."""
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "user"))
    monkeypatch.setenv("NAPARI_CYTO_DATABASES", "{}")
    name = "db" + "".join(c for c in request.node.name.lower() if c.isalnum())[-50:]
    server.sql("postgres", f"CREATE DATABASE {name}")
    return server.url(name)


def filled(url: str) -> Project:
    project = Project.create(Project.folder_of(url), preset("bethesda"))
    project.add_slides([SlideRecord(name="one.svs", id="one")])
    return project


def cell(y: float = 1.0) -> Annotation:
    return Annotation(slide_id="one", geometry=Point(y, 2.0), class_id="HSIL")


def test_verbs_take_the_address_and_show_no_password(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "one.geojson"
    labels.write_text(
        '{"type":"FeatureCollection","features":[{"type":"Feature","geometry":{"type":"Point","coordinates":[3,4]},'
        '"properties":{"classification":{"name":"HSIL"}}}]}'
    )
    assert command_line(["audit", url]) == 2
    assert "There is no project in" in capfd.readouterr().err
    assert command_line(["import", "geojson", str(labels), url]) == 0
    assert command_line(["import", "geojson", str(labels), url]) == 0
    assert command_line(["export", "geojson", url, str(tmp_path / "out.geojson")]) == 0
    assert command_line(["slides", url]) == 0
    assert command_line(["audit", url]) == 0
    assert command_line(["audit", url.replace(PASSWORD, "wrong-" + PASSWORD)]) == 2
    said = capfd.readouterr()
    assert "does not accept this user and password" in said.err
    assert PASSWORD not in said.out + said.err
    with Project.open(Project.folder_of(url)) as project:
        assert project.name.startswith("db")
        assert [a.geometry.centre_yx for a in project.annotations()] == [(4.0, 3.0)]
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or PASSWORD.encode() not in path.read_bytes()


def test_what_an_export_loses_is_counted_there_too(url: str) -> None:
    box = Box(1.0, 2.0, 3.0, 4.5)
    square = Polygon(((0.0, 0.0), (0.0, 9.0), (9.0, 9.0), (9.0, 0.0)))
    scores = ((), (("HSIL", 0.5),), (("LSIL", 0.5),), (("HSIL", 0.5), ("LSIL", 0.25)))
    cells = [
        Annotation(slide_id="one", geometry=shape, class_id="HSIL", scores=known, note=note)
        for shape in (box, square, Point(1.0, 2.5))
        for known in scores
        for note in ("", "a note", "another")
    ]
    with filled(url) as project:
        project.apply(add(cells, "add"), "ana")
        with project.labels_now() as labels:
            assert isinstance(labels.annotations, AnnotationSource)
            kinds = labels.annotations.kinds()
            # The two notes are alike.
            assert sorted(n for _, n in kinds) == [1] * 12 + [2] * 12
            rows = labels.annotations.rows_of_slide("one")
            assert [annotation_of((row[ID], "one", *row[KIND:])) for row in rows] == cells


def test_a_writer_that_holds_on_is_waited_for_only_so_long(url: str) -> None:
    with filled(url) as one, Project.open(one.folder, busy_seconds=0.3) as other:
        with (
            one._writing(),
            pytest.raises(StoreError, match="is being written by another program, which did not finish in time"),
        ):
            other.apply(add([cell()], "Mark"), "bo")
        other.apply(add([cell()], "Mark"), "bo")
        assert len(list(one.annotations())) == 1


class Cutter(threading.Thread):
    """A network that breaks once, when the answer to a COMMIT comes, or the COMMIT itself goes."""

    def __init__(self, port: int, before: bool) -> None:
        super().__init__(daemon=True)
        self.to, self.before, self.cut = port, before, False
        self.at_work = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def run(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.to))
            for source, target, sends in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass_on, args=(source, target, sends), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, sends: bool) -> None:
        while True:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            if self.at_work.is_set() and not self.cut and sends and b"COMMIT\x00" in data:
                self.cut = True
                if not self.before:
                    # The server shall have done it before the network breaks.
                    target.sendall(data)
                    time.sleep(0.3)
                data = b""
            if not data:
                for end in (source, target):
                    for close in (lambda e=end: e.shutdown(socket.SHUT_RDWR), end.close):
                        try:
                            close()
                        except OSError:
                            continue
                return
            target.sendall(data)


@pytest.mark.parametrize("before", [False, True])
def test_a_commit_whose_answer_is_cut_off_is_looked_up(server: Server, url: str, before: bool) -> None:
    name = url.rpartition("/")[2]
    filled(url).close()
    cutter = Cutter(server.port, before)
    cutter.start()
    with Project.open(Project.folder_of(server.url(name, cutter.port))) as project:
        cutter.at_work.set()
        if before:
            with pytest.raises(StoreError, match="nothing of it is there"):
                project.apply(add([cell()], "Mark"), "ana")
        else:
            project.apply(add([cell()], "Mark"), "ana")
        assert cutter.cut
        assert len(list(project.annotations())) == (0 if before else 1)
        project.apply(add([cell(9.0)], "Mark"), "ana")
        assert [step.label for step in project.history()] == ["Mark"] * (1 if before else 2)
    cutter.listener.close()


def test_a_server_that_ends_is_a_sentence_and_back_again_it_goes_on(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "LOOK_UP_S", 0.0)
    with filled(url) as project:
        project.apply(add([cell()], "Mark"), "ana")
        server.stop()
        try:
            with pytest.raises(StoreError, match=r"cannot be reached|was cut"):
                project.apply(add([cell(9.0)], "Mark"), "ana")
        finally:
            server.start()
        assert len(list(project.annotations())) == 1
        project.apply(add([cell(9.0)], "Mark"), "ana")
        assert len(list(project.annotations())) == 2


def test_two_at_a_time_lose_nothing(url: str) -> None:
    folder = Project.folder_of(url)
    filled(url).close()

    def work(number: int) -> None:
        with Project.open(folder, busy_seconds=30) as project:
            for step in range(10):
                project.apply(add([cell(100 * number + step)], "Mark"), f"p{number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    with Project.open(folder) as project:
        assert len(list(project.annotations())) == 20


def test_a_begun_reading_is_handed_back_and_the_project_opens_for_its_reader_only_then(
    url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    project = filled(url)
    project.apply(add([cell(1.0), cell(5.0)], "Add"), "Lead")
    project.close()
    for argv in (
        ["reading", "assign", url, "--to", "Ana"],
        ["reading", "reader", "Ana"],
        ["reading", "begin", url, "r1"],
    ):
        assert command_line(argv) == 0
    assert command_line(["slides", url]) == 2
    assert "Ana has begun the reading r1" in capfd.readouterr().err
    place = place_of_reading(Project.folder_of(url), "r1")
    with Project.open(place) as own:
        assert [record.name for record in own.slides()] == ["Slide 1"]
        assert len(own.setting(GIVEN)) == 2
    assert command_line(["reading", "finish", url, "r1"]) == 2
    assert command_line(["reading", "hand-back", url, "r1"]) == 0
    assert command_line(["slides", url]) == 0
    assert PASSWORD not in "".join(capfd.readouterr())
