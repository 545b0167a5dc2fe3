"""Jobs of every temper, importable by a child process."""

from __future__ import annotations

import os
import time
from pathlib import Path

from napari_cyto.errors import FormatError
from napari_cyto.jobs.events import Advanced, Cancelled, Done, Events, Failed, Noted, Token


def counts(total: int, token: Token) -> Events:
    for i in range(total):
        yield Advanced(i + 1, total, f"step {i + 1}")
    yield Noted("all counted")
    yield Done({"total": total})


def waits(token: Token) -> Events:
    yield Advanced(0, 0, "waiting")
    while not token.cancelled():
        time.sleep(0.01)
    yield Cancelled("Stopped politely; nothing was kept.")


def waits_for_a_map(place: Path, options: object, token: Token) -> Events:
    yield Advanced(1, 200, "Fitting the map.")
    while not token.cancelled():
        time.sleep(0.01)
    yield Cancelled("No map was written.")


def deaf(marker: Path, token: Token) -> Events:
    yield Advanced(0, 0, "deaf")
    try:
        while True:
            time.sleep(0.05)
    finally:
        marker.write_text("cleaned", encoding="utf-8")


def stone_deaf(token: Token) -> Events:
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield Advanced(0, 0, "stone deaf")
    while True:
        time.sleep(0.05)


def refuses(token: Token) -> Events:
    yield Advanced(0, 1)
    raise FormatError("a number was expected, but 'x' came", "labels.txt", 3)


def breaks(token: Token) -> Events:
    yield Advanced(0, 1)
    raise ZeroDivisionError("a bug")


def forgets(token: Token) -> Events:
    yield Advanced(0, 1)


def talks_on(token: Token) -> Events:
    yield Done({"first": 1})
    yield Failed("never seen")


def dies(signal_number: int, token: Token) -> Events:
    yield Advanced(0, 1)
    time.sleep(0.05)
    os.kill(os.getpid(), signal_number)
    time.sleep(5)


def what_is_loaded(token: Token) -> Events:
    import sys

    heavy = [name for name in ("napari", "qtpy", "torch", "pytest") if name in sys.modules]
    yield Done({"heavy": heavy})
