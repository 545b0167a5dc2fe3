"""The folder between a run and whoever watches it: settings, events, wishes; nothing here needs torch.

``OUT.run/`` holds ``config.json``, ``events.jsonl`` (one event a line), ``control.json`` (``{"wish": "go"}``, ``pause``
or ``cancel``), ``process.json`` (pid and when it started), the last checkpoint, ``worst/*.png``, and at the end
``judged.safetensors`` (all that the model was judged on). A run thus outlives the window that started it, and a window
finds a run that it did not start.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import write_text
from napari_cyto.files.lock import alone_in
from napari_cyto.files.processes import process_mark, runs
from napari_cyto.jobs.events import Advanced, Cancelled, Done, Event, Failed, Measured, Noted, Token

Wish = Literal["go", "pause", "cancel"]
POLL_S = 0.1
"""How old an answer about the wish may be: a tenth of the second in which a run must stop."""

_KINDS: dict[str, type[Event]] = {
    "advanced": Advanced,
    "noted": Noted,
    "measured": Measured,
    "done": Done,
    "failed": Failed,
    "cancelled": Cancelled,
}
LAST = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True)
class RunFolder:
    """One run's folder.

    Parameters
    ----------
    path : Path
        By convention the bundle's name with ``.run`` behind it.
    """

    path: Path

    @classmethod
    def of(cls, out: Path) -> RunFolder:
        """Return the folder of the run that writes the bundle ``out``."""
        return cls(out.with_name(f"{out.name}.run"))

    def alone(self) -> AbstractContextManager[None]:
        """Hold the folder for the length of a block: of two runs that begin at one moment, one is refused.

        Raises
        ------
        CytoError
            When another run holds it, or it cannot be made.
        """
        return alone_in(self.path, self._taken)

    @property
    def _taken(self) -> str:
        return f"{self.path}: a run is in progress there; wait until it ends, or cancel it first."

    def begin(self, config: dict[str, Any], resumed: bool) -> None:
        """Start, or go on with, a run: this process is its process from here on, and its wish is ``go``.

        Parameters
        ----------
        config : dict
            Everything that was asked for, JSON-able.
        resumed : bool
            Whether the events so far stay.

        Raises
        ------
        CytoError
            When another process is at it, or the folder cannot be written.
        """
        if self.is_running() and self.process().get("pid") != os.getpid():
            raise CytoError(self._taken)
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.path / "config.json", json.dumps(config, indent=1) + "\n")
        self.ask("go")
        self._trim_events() if resumed else self._events.write_bytes(b"")
        started = datetime.now(UTC).isoformat(timespec="seconds")
        process = {"pid": os.getpid(), "started": started, "mark": process_mark(os.getpid())}
        write_text(self.path / "process.json", json.dumps(process) + "\n")

    def config(self) -> dict[str, Any]:
        """Return what the run was asked for; empty when there is no run."""
        return _read_json(self.path / "config.json")

    def process(self) -> dict[str, Any]:
        """Return ``pid`` and ``started`` of the last process; empty when there is none."""
        return _read_json(self.path / "process.json")

    def is_running(self) -> bool:
        """Whether the process of the run still works, on this machine."""
        known = self.process()
        return isinstance(known.get("pid"), int) and runs(known["pid"], known.get("mark"))

    def append(self, event: Event) -> None:
        """Write one more event.

        Raises
        ------
        OSError
            When the disk is full.
        """
        line = json.dumps(to_dict(event), default=str) + "\n"
        with self._events.open("ab") as stream:
            stream.write(line.encode())

    def events(self, start: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Return the events from byte ``start`` of the file on, and where to read on; a half-written line waits."""
        try:
            with self._events.open("rb") as stream:
                stream.seek(start)
                data = stream.read()
        except FileNotFoundError:
            return [], 0
        whole = data[: data.rfind(b"\n") + 1]
        return [json.loads(line) for line in whole.splitlines() if line.strip()], start + len(whole)

    def is_finished(self) -> bool:
        """Whether the last thing that the run said is that it is done."""
        lines, _ = self.events()
        return bool(lines) and lines[-1].get("event") == "done"

    def wish(self) -> Wish:
        """Return what the user wants of the run."""
        wish = _read_json(self.path / "control.json").get("wish")
        return wish if wish in ("pause", "cancel") else "go"

    def ask(self, wish: Wish) -> None:
        """Tell the run to go on, to pause or to stop; it looks several times a second.

        Raises
        ------
        FormatError
            When the folder cannot be written.
        """
        write_text(self.path / "control.json", json.dumps({"wish": wish}) + "\n")

    @property
    def _events(self) -> Path:
        return self.path / "events.jsonl"

    def _trim_events(self) -> None:
        """Drop the half line that a killed process left."""
        if not self._events.exists():
            self._events.write_bytes(b"")
            return
        data = self._events.read_bytes()
        os.truncate(self._events, data.rfind(b"\n") + 1)


class FolderToken:
    """A token that also hears the wish in a run's folder; the file is looked at a few times a second at most.

    Parameters
    ----------
    folder : RunFolder
        Where wishes are written.
    token : Token, optional
        One more that may ask to stop.
    """

    def __init__(self, folder: RunFolder, token: Token | None = None) -> None:
        self._folder = folder
        self._token = token
        self._wish: Wish = "go"
        self._looked_s = float("-inf")

    def cancelled(self) -> bool:
        """Whether the user asked for the run to stop."""
        return (self._token is not None and self._token.cancelled()) or self._heard() == "cancel"

    def paused(self) -> bool:
        """Whether the user asked for the run to wait."""
        return self._heard() == "pause" and not self.cancelled()

    def _heard(self) -> Wish:
        now = time.monotonic()
        if now - self._looked_s >= POLL_S and self._wish != "cancel":
            self._wish, self._looked_s = self._folder.wish(), now
        return self._wish


def to_dict(event: Event) -> dict[str, Any]:
    """Return an event as JSON-able values: ``event`` (its kind), ``time`` (UTC) and its own fields."""
    name = type(event).__name__.lower()
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    values = {f.name: getattr(event, f.name) for f in fields(event)}
    return {"event": name, "time": now} | values | ({"result": event.to_json()} if isinstance(event, Done) else {})


def from_dict(line: dict[str, Any]) -> Event | None:
    """Return the event that ``to_dict`` wrote; None for a kind that this version does not know."""
    kind = _KINDS.get(str(line.get("event")))
    if kind is None:
        return None
    known = {f.name for f in fields(kind)}
    values: dict[str, Any] = {name: value for name, value in line.items() if name in known}
    if "without_scale" in values:
        values["without_scale"] = tuple(values["without_scale"])
    return kind(**values)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        # Not there yet, or just being replaced: whoever asks will ask again.
        return {}
    return value if isinstance(value, dict) else {}
