"""Let the slide library look at a file in a process of its own first, and remember what came of it.

The library is C. What aborts it there is one sentence here; in this process it would take the window along, and what
is not saved in other windows of napari. A slide that was found good is not looked at again until its files change.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import openslide

from napari_cyto.errors import SlideError
from napari_cyto.files.user_folders import user_cache_dir

CPU_S = 1.5
"""Processor time that a small slide may take to be opened; where it cannot be limited, see ``WALL_S``."""
CPU_S_PER_GB = 3.0
MOST_CPU_S = 60.0
WALL_S = 60.0 if hasattr(signal, "setitimer") else 15.0
"""Longest wait for an answer: a network disk may be slow, the processor may not be busy for so long."""
MEMORY_BYTES = 320 * 2**20
"""Memory that a small slide may take, besides Python's own (Linux)."""
MEMORY_BYTES_PER_GB = 128 * 2**20
MOST_MEMORY_BYTES = 2 * 2**30
KEPT = 4096
"""How many slides are remembered on disk, those last looked at."""

_ENDED_BY_ITSELF = (0, -int(getattr(signal, "SIGALRM", 0)))
_VERSION = 1
_MOST_SAID = 400
_HEAD_BYTES = 2**16
_MOST_FILES = 2_000
_CHILD = Path(__file__).with_name("native_child.py")


@dataclass(frozen=True, slots=True)
class Looked:
    """What the slide library makes of a file.

    Parameters
    ----------
    vendor : str or None
        Its name of the format; None when it knows none.
    error : str
        Why it cannot be opened; empty when it can.
    left_out : tuple of str
        Extra images that are too large to be read.
    """

    vendor: str | None
    error: str = ""
    left_out: tuple[str, ...] = ()


def look(path: Path) -> Looked:
    """Return what the slide library makes of a file, without opening it in this process.

    Raises
    ------
    OSError
        When the file cannot be read.
    SlideError
        When the library cannot be tried, because no process can be started.
    """
    files = _files(path)
    key = _key(path, files)
    known = _memory.known(key)
    if known is None:
        known, sure = _ask(path, _bytes_on_disk(files))
        if sure:
            _memory.keep(key, known)
    return known


def open_natively(path: Path) -> openslide.OpenSlide:
    """Return a handle of the slide library, for a file that was looked at before.

    Raises
    ------
    SlideError
        When it cannot be opened; the sentence says why.
    """
    try:
        looked = look(path)
        if not looked.error:
            return openslide.OpenSlide(path)
        reason = looked.error
    except (openslide.OpenSlideError, OSError, MemoryError) as error:
        reason = str(error) or type(error).__name__
    # The library's words may quote the file, with whatever is in it.
    said = "".join(c if c.isprintable() else " " for c in reason).strip()[:_MOST_SAID]
    raise SlideError(f"{path.name} cannot be opened as a slide: {said.rstrip('.')}.")


def _ask(path: Path, size_bytes: int) -> tuple[Looked, bool]:
    """Return the answer of the child process, and whether it would be the same again."""
    in_gb = size_bytes / 2**30
    request: dict[str, Any] = {
        "path": str(path),
        "cpu_s": min(CPU_S + CPU_S_PER_GB * in_gb, MOST_CPU_S),
        "memory_bytes": int(min(MEMORY_BYTES + MEMORY_BYTES_PER_GB * in_gb, MOST_MEMORY_BYTES)),
    }
    answer, status = _helper.ask(request)
    if answer is not None:
        return Looked(answer.get("vendor"), answer.get("error", ""), tuple(answer.get("left_out", ()))), True
    return Looked(None, _said_of(status, request["cpu_s"])), status is not None


def _said_of(status: int | None, cpu_s: float) -> str:
    """Return how the child process ended: None when it was too slow."""
    if status is None:
        return f"the slide library did not finish within {WALL_S:g} s"
    name = ""
    if status < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-status).name
    if name == "SIGPROF":
        return f"the slide library did not finish after {cpu_s:.1f} s of computing, so the file is damaged"
    stopped = {"SIGABRT": "abort", "SIGTRAP": "abort", "SIGSEGV": "a crash", "SIGBUS": "a crash"}.get(name)
    return f"the slide library cannot read it (stopped with {stopped or name or f'status {status & 0xFFFFFFFF:#x}'})"


def _files(path: Path) -> list[tuple[str, os.stat_result]]:
    """Return the files that opening ``path`` may read, with their sizes and times."""
    folder = None
    suffix = path.suffix.lower()
    if suffix == ".mrxs":
        folder = path.with_suffix("")
    elif suffix in (".dcm", ".vms", ".vmu") or _starts_as_dicom(path):
        folder = path.parent
    found = [(path.name, path.stat())]
    if folder is not None and folder.is_dir():
        found.append((".", folder.stat()))
        with os.scandir(folder) as entries:
            for entry in entries:
                if len(found) >= _MOST_FILES:
                    break
                if entry.is_file():
                    # The entry itself knows no inode on Windows.
                    found.append((entry.name, (folder / entry.name).stat()))
    return sorted(found, key=lambda each: each[0])


def _starts_as_dicom(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(132)[128:] == b"DICM"


def _bytes_on_disk(files: list[tuple[str, os.stat_result]]) -> int:
    """Return how much room the files take: a file of holes may call itself as large as it likes."""
    return sum(min(stat.st_size, getattr(stat, "st_blocks", stat.st_size) * 512) for _, stat in files)


def _key(path: Path, files: list[tuple[str, os.stat_result]]) -> str:
    digest = hashlib.sha256(f"{_VERSION} {openslide.__library_version__} {path}".encode(errors="surrogateescape"))
    for name, stat in files:
        facts = (stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_dev)
        digest.update(f"{name} {facts}\n".encode(errors="surrogateescape"))
    index = path.with_suffix("") / "Slidedat.ini"
    for each in (path, index) if path.suffix.lower() == ".mrxs" else (path,):
        with contextlib.suppress(FileNotFoundError), each.open("rb") as handle:
            digest.update(handle.read(_HEAD_BYTES))
    return digest.hexdigest()


class _Memory:
    """What was found, on disk for good slides, in this process for all."""

    def __init__(self) -> None:
        self._here: OrderedDict[str, Looked] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, key: str) -> Looked | None:
        """Return what was found before, or None."""
        with self._lock:
            if key in self._here:
                return self._here[key]
        try:
            kept = json.loads((_folder() / f"{key}.json").read_text(encoding="ascii"))
            found = Looked(kept["vendor"], kept["error"], tuple(kept["left_out"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        self._keep_here(key, found)
        return found

    def keep(self, key: str, found: Looked) -> None:
        """Remember what was found."""
        self._keep_here(key, found)
        if found.error:
            return
        folder = _folder()
        place = folder / f"{key}.json"
        temporary = place.with_suffix(f".{os.getpid()}.part")
        # Without it the next program looks again: no harm.
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(asdict(found)), encoding="ascii")
            temporary.replace(place)
            _forget_old(folder)

    def _keep_here(self, key: str, found: Looked) -> None:
        with self._lock:
            self._here[key] = found
            while len(self._here) > KEPT:
                self._here.popitem(last=False)


def _folder() -> Path:
    return user_cache_dir() / "looked-at-slides"


def _forget_old(folder: Path) -> None:
    names = list(folder.iterdir())
    if len(names) > KEPT + KEPT // 8:
        for path in sorted(names, key=lambda p: p.stat().st_mtime)[: len(names) - KEPT]:
            path.unlink(missing_ok=True)


class _Helper:
    """The child process, started when it is needed, and again when it ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._lock = threading.Lock()

    def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any] | None, int | None]:
        """Return the answer, or None and the exit status of the process; None for both when it was too slow."""
        with self._lock:
            was_there = self._process is not None
            answer, status = self._ask(request)
            if answer is None and was_there and status in _ENDED_BY_ITSELF:
                # It had nothing to do for long, and went just when it was asked.
                answer, status = self._ask(request)
            return answer, status

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any] | None, int | None]:
        process = self._process if self._process is not None and self._process.poll() is None else self._start()
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended: so its answer says
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
        try:
            answer = self._answers.get(timeout=WALL_S)
        except queue.Empty:
            self.stop()
            return None, None
        with contextlib.suppress(ValueError):  # cut off, or none
            return dict(json.loads(answer)), None
        status = process.wait()
        self.stop()
        return None, status

    def _start(self) -> subprocess.Popen[str]:
        self.stop()
        try:
            process = subprocess.Popen(
                [sys.executable or "python", "-P", str(_CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="ascii",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
            )
        except OSError as error:
            raise SlideError(
                "Slides are opened in a process of their own first, and none could be started "
                f"({error.strerror or error}); close other programs and try again."
            ) from error
        self._process, self._answers = process, queue.SimpleQueue()
        threading.Thread(target=_pass_on, args=(process, self._answers), name="slide library", daemon=True).start()
        return process

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError, ValueError):
                    stream.close()


def _pass_on(process: subprocess.Popen[str], answers: queue.SimpleQueue[str]) -> None:
    assert process.stdout is not None
    with contextlib.suppress(OSError, ValueError):
        for line in _lines(process):
            answers.put(line)
    answers.put("")


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    yield from process.stdout


_memory = _Memory()
_helper = _Helper()


def _in_forked_child() -> None:
    """Start a helper of its own: the pipes of the parent's belong to the parent."""
    global _helper
    _left_to_parent.append(_helper)
    _helper = _Helper()


_left_to_parent: list[_Helper] = []
atexit.register(lambda: _helper.stop())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
