"""Counts in sentences: one slide, 1,204 slides, 2 entries."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """Return ``1 cell`` or ``1,204 cells``.

    Parameters
    ----------
    count : int
        How many there are.
    one : str
        What a single one is called, perhaps with its verb: ``slide``, ``slide is``.
    many : str
        What several are called; by default the plural of ``one``, as in ``boxes`` and ``entries``.
    """
    return f"{count:,} {one if count == 1 else many or plural(one)}"


def plural(noun: str) -> str:
    """Return the regular plural of a noun."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch")) else "s")
