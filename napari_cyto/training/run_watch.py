"""Follow a training run by the folder that it writes, whoever started it, and tell it what its user wants."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_cyto.jobs.run_folder import RunFolder, Wish
from napari_cyto.training.run_state import RunState, after

RUN_SUFFIX = ".run"
LOG_NAME = "log.txt"
CHECKPOINT = "checkpoint.safetensors"
# How the command line ends after a sentence that its user can act on.
EXIT_REFUSED = 2
# What it wrote last may be read a moment after it has gone.
GONE_FOR_S = 0.5


class RunWatch:
    """What one run has said so far; ``poll`` reads on and returns at once.

    Parameters
    ----------
    out : Path
        The bundle that the run writes; its folder is beside it.
    process : Popen, optional
        The run's process, for who has just started it.
    """

    def __init__(self, out: Path, process: subprocess.Popen[bytes] | None = None) -> None:
        self.out = out
        self.folder = RunFolder.of(out)
        self.state = RunState()
        self.wish: Wish = self.folder.wish() if process is None else "go"
        self._process = process
        self._read_to = 0
        self._gone_since_s: float | None = None
        # When the run said its last word, and when it last foresaw its end.
        self._heard_s = self._foreseen_s = time.monotonic()
        if process is not None:
            self._look_back()

    def _look_back(self) -> None:
        """Take the epochs of a run that goes on, but not the last word of its earlier process."""
        lines, self._read_to = self.folder.events()
        for line in lines:
            self.state = after(self.state, line)
        self.state = replace(self.state, status="waiting", sentence="", result={}, message="", done=0, total=0)

    def poll(self) -> bool:
        """Read what was written since; return whether anything changed."""
        before = self.state
        for line in self._new_lines():
            self.state = after(self.state, line)
        if self._process is not None:
            # Takes note of its end, without which it would stay in the list of processes.
            self._process.poll()
        if not self.state.ended and self._is_gone():
            self.state = replace(self.state, status="killed", sentence=self._last_words(), eta_s=None)
        if self.state is not before:
            self._heard_s = time.monotonic()
            if self.state.eta_s != before.eta_s:
                self._foreseen_s = self._heard_s
        return self.state is not before

    @property
    def quiet_s(self) -> float:
        """How long the run has said nothing, s."""
        return time.monotonic() - self._heard_s

    @property
    def left_s(self) -> float | None:
        """How long the run still takes by what it foresaw, s, 0 once that time is up; None before it foresaw any."""
        if self.state.eta_s is None:
            return None
        return max(0.0, self.state.eta_s - (time.monotonic() - self._foreseen_s))

    def _new_lines(self) -> list[dict[str, Any]]:
        try:
            lines, self._read_to = self.folder.events(self._read_to)
        except ValueError:
            # The file was begun anew: somebody trains under the same name again.
            self.state = RunState()
            lines, self._read_to = self.folder.events()
        return lines

    def ask(self, wish: Wish) -> None:
        """Tell the run to go on, to pause or to stop.

        Raises
        ------
        CytoError
            When its folder cannot be written.
        """
        self.folder.ask(wish)
        self.wish = wish

    @property
    def paused(self) -> bool:
        """Whether the run was asked to wait."""
        return self.wish == "pause" and not self.state.ended

    @property
    def can_resume(self) -> bool:
        """Whether a run that ended early left a state from which it can go on."""
        return self.state.status in ("killed", "failed", "cancelled") and (self.folder.path / CHECKPOINT).exists()

    def _is_gone(self) -> bool:
        process = self._process
        gone = not self.folder.is_running() if process is None else process.returncode is not None
        if not gone:
            self._gone_since_s = None
            return False
        now = time.monotonic()
        if self._gone_since_s is None:
            self._gone_since_s = now
        return now - self._gone_since_s > GONE_FOR_S

    def _last_words(self) -> str:
        reached = f" in epoch {self.state.epochs[-1].number:g}" if self.state.epochs else ""
        refused = self._process is not None and self._process.returncode == EXIT_REFUSED
        if (refused or self.state.status == "waiting") and (said := self.last_words()):
            return said
        return f"The run was stopped from outside{reached} (the system does so when memory runs out)."

    def last_words(self) -> str:
        """Return the last line that the process printed, which is its sentence when it refused to begin."""
        try:
            lines = (self.folder.path / LOG_NAME).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def runs_in(folders: Iterable[Path]) -> list[Path]:
    """Return the bundles (there or to come) of all runs in ``folders``, the latest first."""
    found = [
        (events.stat().st_mtime, events.parent)
        for folder in folders
        if folder.is_dir()
        for events in folder.glob(f"*{RUN_SUFFIX}/events.jsonl")
    ]
    return [run.with_name(run.name.removesuffix(RUN_SUFFIX)) for _, run in sorted(found, reverse=True)]
