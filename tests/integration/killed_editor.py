"""A program that is killed while it edits a project: the other half of ``test_kill_nine.py``.

It starts once, since importing takes longer than editing, and then forks one editor for each seed that it reads, a
line each. An editor says what it is about to do, does it, and says that it is done, until it is killed.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import Edit, add, remove, replace_all
from napari_cyto.domain.geometry import Point
from napari_cyto.store import Project

AUTHOR = "Ana"


def words(seed: int) -> Iterator[str]:
    """Yield what the editor with this seed does, in words that both halves understand."""
    rng = random.Random(seed)
    while True:
        yield rng.choice(["add", "add", "relabel", "delete", "import", "undo", "redo"])


def edit_for(word: str, seed: int, step: int, state: dict[str, Annotation]) -> Edit:
    """Return the edit that a word means; the same in both halves, since all chance comes from ``seed, step``."""
    rng = random.Random(f"{seed} {step}")
    cells = sorted(state.values(), key=lambda cell: cell.id)
    if word == "import" and len(cells) > 200:
        return remove(cells[20:], "delete many")
    if word in ("add", "import") or not cells:
        return add([_cell(rng) for _ in range(100 if word == "import" else 1)], word)
    chosen = rng.choice(cells)
    if word == "relabel":
        return replace_all(
            [(chosen, replace(chosen, class_id=rng.choice(["NILM", "HSIL"]), note=f"{seed} {step}"))], word
        )
    return remove([chosen], word)


def _cell(rng: random.Random) -> Annotation:
    return Annotation(
        slide_id="one",
        geometry=Point(rng.uniform(0, 1e5), rng.uniform(0, 1e5)),
        class_id="LSIL",
        created_utc=datetime(2024, 1, 1, tzinfo=UTC),
        id=f"{rng.getrandbits(128):032x}",
    )


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def _edit_until_killed(folder: str, seed: int) -> None:
    with Project.open(folder) as project:
        for step, word in enumerate(words(seed)):
            _say(f"about {step} {word}")
            if word in ("undo", "redo"):
                (project.undo if word == "undo" else project.redo)(AUTHOR)
            else:
                state = {cell.id: cell for cell in project.annotations()}
                project.apply(edit_for(word, seed, step, state), AUTHOR)
            _say(f"done {step}")


def main() -> None:
    """Fork an editor for each seed that comes in; say its process id, and when it is gone."""
    folder = sys.argv[1]
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _edit_until_killed(folder, int(line))
        _say(f"started {child}")
        os.waitpid(child, 0)
        _say("gone")


if __name__ == "__main__":
    main()
