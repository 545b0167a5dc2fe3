"""How many abnormal cells are left among those that nobody read: a bound that holds whenever the reader stops."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_CLEAN = 0.8
"""Share of the evidence that is looked for in runs of draws without an abnormal cell, which is what a reader hopes for;
the rest follows the share of abnormal cells that was drawn."""
_FIRST_RUN = 0.7
_BEGINNINGS = (0.0, 0.25, 0.5, 0.75)
"""Where the betting on the share begins anew: when this part of the cells was read, for the riskiest come first."""
_SAME_CELLS = 0.8
"""Share of the error probability that is spent before the cells change under the reader; of the rest as much again."""


@dataclass(frozen=True, slots=True)
class Unread:
    """What the control cells say of the cells that nobody read.

    Parameters
    ----------
    unread : int
        Cells that wait and that nobody read one by one.
    drawn, abnormal : int
        Control cells that were read since the cells last changed, and how many were abnormal.
    most : int
        At most this many of the unread cells are abnormal, at the confidence, whenever one stops; all without a draw.
    more : int or None
        About how many more control cells without an abnormal one would bring the bound under the limit; 0 when it is
        there, None without a limit.
    """

    unread: int
    drawn: int
    abnormal: int
    most: int
    more: int | None = None

    @property
    def share(self) -> float | None:
        """The bound as a share of the unread cells; None when there are none."""
        return self.most / self.unread if self.unread else None


@dataclass(slots=True)
class ControlDraws:
    """Follows a reading, cell by cell: which reads were random draws from what was unread, and what they found.

    The cells have an order by chance that the reader does not know. Whoever reads the first of the unread in it has
    drawn at random, whatever else they read before and why: reading the riskiest cells takes them out, and changes
    nothing about the chance of the rest. A read that is not the first is no draw; a control cell that is passed over
    stays the next, so that nobody can leave out what they do not like.
    """

    place: dict[str, int] = field(default_factory=dict)
    """Place by chance of each unread cell."""
    outcomes: list[bool] = field(default_factory=list)
    unread_before: list[int] = field(default_factory=list)
    found_before: list[int] = field(default_factory=list)
    found: int = 0
    changed: int = 0
    """How often the cells changed after a draw: each time the count begins anew, with less of the error to spend."""
    _next: list[tuple[int, str]] = field(default_factory=list)

    def add(self, cells: Iterable[tuple[str, int]]) -> None:
        """Take in new cells that wait, each with its place in the order by chance."""
        self._begin()
        new = dict(cells)
        self.place |= new
        self._next += ((place, cell) for cell, place in new.items())
        heapq.heapify(self._next)

    def lose(self, cells: Iterable[str]) -> None:
        """Take out cells that were accepted or rejected unread, in bulk: nothing is known of them."""
        gone = [cell for cell in cells if cell in self.place]
        if gone:
            self._begin()
        for cell in gone:
            del self.place[cell]

    def read(self, cell: str, is_abnormal: bool) -> bool:
        """Take in that a cell was read; return whether it was a random draw."""
        if cell not in self.place:
            return False
        while self._next[0][1] not in self.place:
            heapq.heappop(self._next)
        is_draw = self._next[0][1] == cell
        if is_draw:
            self.outcomes.append(is_abnormal)
            self.unread_before.append(len(self.place))
            self.found_before.append(self.found)
        del self.place[cell]
        self.found += is_abnormal
        return is_draw

    def bound(self, limit: float | None = None, confidence: float = 0.95) -> Unread:
        """Return the bound on the abnormal cells among the unread, and how far off a ``limit`` (share, 0 to 1) is."""
        alpha = (1 - confidence) * _SAME_CELLS * (1 - _SAME_CELLS) ** self.changed
        evidence = _Evidence(self)
        most = evidence.most(-math.log(alpha))
        more = None if limit is None else evidence.more(math.floor(limit * len(self.place)), most, -math.log(alpha))
        return Unread(len(self.place), len(self.outcomes), sum(self.outcomes), most, more)

    def _begin(self) -> None:
        self.changed += bool(self.outcomes)
        self.found = 0
        for kept in (self.outcomes, self.unread_before, self.found_before):
            kept.clear()


class _Evidence:
    """Evidence against "this many abnormal cells are unread now", as the winnings of a bet that is fair if it is true.

    Each draw from ``n`` unread cells of which ``m`` are abnormal finds one with the chance ``m / n``, whatever was
    read before. So the winnings of any bet on the draws are a martingale, of several bets together too, and exceed
    ``1 / alpha`` at any time with a chance of ``alpha`` at most. What is not refuted is the confidence sequence.

    Source: Waudby-Smith and Ramdas 2020, Confidence sequences for sampling without replacement (NeurIPS), and 2024,
    Estimating means of bounded random variables by betting, JRSS B 86(1); Ville 1939 (the inequality); Krichevsky and
    Trofimov 1981, IEEE Transactions on Information Theory 27(2) (betting on a share that is not known). That cells
    read by rank may leave between two draws follows from the chance above, which is conditional on all that was read.
    """

    def __init__(self, draws: ControlDraws) -> None:
        self.unread = len(draws.place)
        self._hit = np.asarray(draws.outcomes, dtype=bool)
        self._of = np.asarray(draws.unread_before, dtype=np.float64)
        # Abnormal cells that were still to be found before each draw, and have been found since.
        self._since = draws.found - np.asarray(draws.found_before, dtype=np.float64)
        self._run = np.cumsum(self._hit) - self._hit
        starts = [0] if not len(self._of) else [int((self._of > (1 - b) * self._of[0]).sum()) for b in _BEGINNINGS]
        starts = [min(start, len(self._of)) for start in starts]
        self._bets = [(start, self._expected(start)) for start in starts]

    def log_winnings(self, left: int) -> float:
        """Return the log of the most that the bets had won at any time, if ``left`` unread cells are abnormal."""
        if not len(self._of):
            return 0.0
        chance = np.minimum(1.0, (self._since + left) / self._of)
        with np.errstate(divide="ignore"):
            miss, hit = np.log1p(-chance), np.log(chance)
        total = np.logaddexp(self._runs(miss), self._shares(miss, hit))
        return max(0.0, float(np.max(total)))

    def most(self, needed: float) -> int:
        """Return the largest number of abnormal cells that the evidence does not refute."""
        lowest = self._least_refuted()
        low, high = lowest, self.unread
        if self.log_winnings(high) < needed:
            return high
        # The log of the winnings is convex in the number, so that beyond its lowest point it only grows.
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.log_winnings(middle) < needed else (low, middle)
        return low

    def more(self, at_most: int, most: int, needed: float) -> int:
        """Return about how many more draws without a hit bring the bound down to ``at_most`` cells."""
        if most <= at_most:
            return 0
        found = int(self._hit.sum())
        begun = int(np.argmax(self._hit[::-1])) if found else len(self._hit)
        chance = np.minimum(1.0, (self._since + at_most + 1) / self._of)[len(self._hit) - begun :]
        won = math.log(_CLEAN * _run_weight(found)) - float(np.log1p(-np.minimum(chance, 1 - 1e-12)).sum())
        # Each draw leaves one cell less, among which as many may be abnormal.
        left, count = float(self.unread), 0
        while won < needed and left > at_most + 1:
            won -= math.log1p(-(at_most + 1) / left)
            left -= 1
            count += 1
        return max(1, count)

    def _least_refuted(self) -> int:
        low, high = 0, self.unread
        while high - low > 2:
            third = (high - low) // 3
            one, other = low + third, high - third
            low, high = (low, other) if self.log_winnings(one) <= self.log_winnings(other) else (one, high)
        return min(range(low, high + 1), key=self.log_winnings)

    def _runs(self, miss: Floats) -> Floats:
        """Bet all on finding nothing, anew after each find; what is not staked yet stays."""
        safe = np.where(self._hit, 0.0, miss)
        total = np.cumsum(safe)
        before = total - safe
        firsts = np.searchsorted(self._run, self._run, side="left")
        won = before[firsts] - total
        weights = np.asarray([_run_weight(int(k)) for k in range(int(self._run[-1]) + 1)])[self._run]
        kept = 1 - np.cumsum([_run_weight(int(k)) for k in range(int(self._run[-1]) + 2)])[self._run]
        staked = np.where(self._hit, -np.inf, np.log(weights) + won)
        with np.errstate(divide="ignore"):
            won_or_kept: Floats = np.logaddexp(staked, np.log(np.maximum(kept, 0.0))) + math.log(_CLEAN)
        return won_or_kept

    def _shares(self, miss: Floats, hit: Floats) -> Floats:
        """Bet on the share of hits so far."""
        parts = []
        for start, expected in self._bets:
            gain = np.zeros(len(miss))
            with np.errstate(invalid="ignore"):
                gain[start:] = np.where(
                    self._hit[start:],
                    np.log(expected) - hit[start:],
                    np.log1p(-expected) - miss[start:],
                )
            parts.append(np.cumsum(gain))
        found: Floats = np.logaddexp.reduce(parts, axis=0) + math.log((1 - _CLEAN) / len(parts))
        return found

    def _expected(self, start: int) -> Floats:
        hits = self._hit[start:]
        expected: Floats = (np.cumsum(hits) - hits + 0.5) / (np.arange(len(hits)) + 1.0)
        return expected


def _run_weight(number: int) -> float:
    """Return how much of the clean runs' share is staked on the one after so many finds; all together 1."""
    return _FIRST_RUN if number == 0 else (1 - _FIRST_RUN) / (number * (number + 1))


def by_rank(read: Sequence[bool], abnormal: Sequence[bool], bands: int = 4) -> list[tuple[int, int, int]]:
    """Return cells, read ones and abnormal ones among these in bands of rank, the riskiest first.

    Parameters
    ----------
    read, abnormal : sequence of bool (n,)
        Of each cell in the order of rank.
    bands : int
        How many bands of equal size.
    """
    was_read, was_abnormal = np.asarray(read, bool), np.asarray(abnormal, bool)
    parts = zip(np.array_split(was_read, bands), np.array_split(was_read & was_abnormal, bands), strict=True)
    return [(len(one), int(one.sum()), int(other.sum())) for one, other in parts]
