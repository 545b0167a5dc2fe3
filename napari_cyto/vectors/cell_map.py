"""The map of cells: vectors laid out on a plane so that cells alike lie together, and how far to trust it.

UMAP is fitted on at most 20,000 cells, drawn by chance; the others are laid in between them. Both take neighbours that
are found exactly, by products of matrices: an approximate index takes minutes to be compiled and gives other maps on
other machines.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import queue
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError, system_sentence
from napari_cyto.files.atomic import beside
from napari_cyto.jobs.events import Advanced, Done, Events, Noted, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.store import Project
from napari_cyto.vectors._compiled_code import code_kept, damage_removed
from napari_cyto.vectors._project_vectors import (
    CellVectors,
    cell_vectors,
    cells_with_vectors,
    vector_kinds,
    vectors_folder,
)
from napari_cyto.vectors._vector_file import VectorKind
from napari_cyto.vectors.neighbours import nearest, unit_rows

Floats = npt.NDArray[np.float32]

LEAST_CELLS = 20
NEIGHBOURS = 15
FORMAT = 1
_FOLDER = "maps"
_MAPS_KEPT = 4
_COMPONENTS = 50
_LAID_IN_AT_ONCE = 5_000
_SAMPLE, _SAMPLES, _LEAST_SAMPLE = 600, 8, 150
_LOOK_S = 0.1
_KEPT = "No map was written."
_TWO_SIDED_T7 = 2.365


class MapOptions(BaseModel):
    """How the map is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str = Field(
        default="", title="Encoder", description="Whose vectors; the newest unless given.", max_length=80
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, title="Seed", description="The same seed gives the same map.")
    fitted: int = Field(
        default=20_000,
        ge=LEAST_CELLS,
        le=200_000,
        title="Cells fitted",
        description="Cells that the map is fitted on, drawn by chance; the others are laid in between them.",
    )


@dataclass(frozen=True, slots=True)
class Trust:
    """How far a map may be trusted.

    Parameters
    ----------
    value, low, high : float
        Trustworthiness, 0 to 1: 1 when all that are neighbours on the map are neighbours in the vectors, about 0.5 for
        places by chance. And its 95 % interval, without any width where it was measured on all cells at once.
    own_slide : float or None
        Share of a cell's neighbours, in the vectors, that lie on its own slide; None with one slide.
    own_slide_by_chance : float or None
        The same if slides did not matter.
    cells : int
        Cells it was measured on.
    """

    value: float
    low: float
    high: float
    own_slide: float | None
    own_slide_by_chance: float | None
    cells: int

    @property
    def sentence(self) -> str:
        """What the figure means."""
        # Measured on all cells at once there are no samples that could differ.
        rests_on = f"95 % {self.low:.2f} to {self.high:.2f}, from" if self.low < self.high else "on all"
        return (
            f"Trustworthiness {self.value:.2f} ({rests_on} {counted(self.cells, 'cell')}): 1 if neighbours on the map "
            "are neighbours in the vectors, 0.5 by chance. Distances between groups, and their sizes, mean nothing."
        )

    @property
    def slide_sentence(self) -> str:
        """What the slides have to do with the map."""
        if self.own_slide is None or self.own_slide_by_chance is None:
            return "One slide: staining and scanner cannot be distinguished from the cells."
        return (
            f"Of a cell's nearest {100 * self.own_slide:.0f} % are of its own slide, by chance "
            f"{100 * self.own_slide_by_chance:.0f} %: what is above that is staining, scanner or another mix of cells."
        )


@dataclass(frozen=True, slots=True)
class CellMap:
    """Places of cells on a map.

    Parameters
    ----------
    kind : VectorKind
        Whose vectors it shows.
    ids, slide_ids : tuple of str
        The cells, and the slide of each.
    xy : ndarray, float32 (n, 2)
        Their places; the unit means nothing.
    fitted : int
        Cells that it was fitted on.
    without : int
        Cells of the project without a vector, which it does not show.
    trust : Trust
        How far to trust it.
    """

    kind: VectorKind
    ids: tuple[str, ...]
    slide_ids: tuple[str, ...]
    xy: Floats
    fitted: int
    without: int
    trust: Trust

    @property
    def sentence(self) -> str:
        """What it shows and how far to trust it."""
        words = [f"{counted(len(self.ids), 'cell')} by {self.kind.encoder}."]
        if self.fitted < len(self.ids):
            words.append(f"Fitted on {self.fitted:,}, the others laid in.")
        if self.without:
            words.append(f"{counted(self.without, 'cell')} without a vector not shown.")
        return " ".join([*words, self.trust.sentence])


@dataclass(frozen=True, slots=True)
class MapMade:
    """What the job ends with: where the map lies, and what is to be said of it."""

    path: str
    cells: int
    fitted: int
    without: int
    encoder: str
    trust: Trust
    was_kept: bool

    def to_json(self) -> dict[str, Any]:
        """Return the values as JSON-able ones."""
        return asdict(self) | {"sentence": self.trust.sentence, "slides": self.trust.slide_sentence}


def chosen_kind(project: Project, encoder: str = "") -> VectorKind:
    """Return the newest vectors of a project, or those of an encoder.

    Raises
    ------
    CytoError
        When there are none.
    """
    kinds = vector_kinds(project)
    matching = [kind for kind in kinds if encoder in ("", kind.encoder)]
    if matching:
        return matching[0]
    named = f" by {encoder}" if encoder else ""
    others = f" (there are some by {', '.join(k.encoder for k in kinds)})" if kinds else ""
    raise CytoError(
        f"Expected vectors{named} of the cells of {project.name}, got none{others}; make them with: napari-cyto embed "
        f"PROJECT --encoder {encoder or 'ENCODER'}."
    )


def map_cells(place: Path, options: MapOptions, token: Token | None = None) -> Events:
    """Make the map of a project's cells, or find that it is there; a job.

    Parameters
    ----------
    place : Path
        The project.
    options : MapOptions
        How.
    token : Token, optional
        Asks to stop; nothing is kept then.

    Yields
    ------
    Event
        The last is a `Done` with a `MapMade`.
    """
    return ending_once(_steps(place, options, token))


def _steps(place: Path, options: MapOptions, token: Token | None) -> Steps:
    yield Advanced(0, 0, "Reading the vectors.")
    with Project.open(place) as project:
        found = cell_vectors(project, chosen_kind(project, options.encoder))
        folder = vectors_folder(project) / _FOLDER
    if len(found.ids) < LEAST_CELLS:
        raise CytoError(_too_few(len(found.ids), found.without))
    path = folder / f"{_key(found, options)}.npz"
    kept = _read_or_none(path)
    if kept is not None:
        with suppress(OSError):
            os.utime(path)
        yield Done(_made(path, kept, found.without, was_kept=True))
        return
    made = yield from _laid_out(found, options, token)
    try:
        _write(path, made)
    except OSError as error:
        raise CytoError(f"The map cannot be kept in {folder}: {system_sentence(error)}") from error
    yield Done(_made(path, made, found.without, was_kept=False))


def _made(path: Path, made: CellMap, without: int, *, was_kept: bool) -> MapMade:
    return MapMade(str(path), len(made.ids), made.fitted, without, made.kind.encoder, made.trust, was_kept)


def _key(found: CellVectors, options: MapOptions) -> str:
    """Return what the map depends on, as a name: the vectors, which cells, and how it is made."""
    digest = hashlib.sha256(f"{FORMAT} {found.kind.model_dump_json()} {options.seed} {options.fitted}".encode())
    for ids in (found.ids, found.slide_ids):
        digest.update("\n".join(ids).encode("utf-8", "surrogatepass"))
    digest.update(np.ascontiguousarray(found.vectors[:: max(1, len(found.ids) // 4096)]).tobytes())
    return digest.hexdigest()[:40]


def _laid_out(found: CellVectors, options: MapOptions, token: Token | None) -> Generator[Any, None, CellMap]:
    """Yield how far it is; return the map."""
    count = len(found.ids)
    rng = np.random.default_rng(options.seed)
    drawn = np.sort(rng.permutation(count)[: options.fitted])
    yield Noted("The map takes some minutes the first time; it is kept, and cells can be reviewed meanwhile.")
    xy = yield from _in_thread(lambda say: _placed(found, drawn, options.seed, say), token)
    yield Advanced(0, 0, "Measuring how far to trust the map.")
    stop_if_cancelled(token, _KEPT)
    trust = trust_of(found.vectors, xy, found.slide_ids, options.seed)
    return CellMap(found.kind, found.ids, found.slide_ids, xy, len(drawn), found.without, trust)


Say = Callable[[int, int, str], None]


def _placed(found: CellVectors, drawn: npt.NDArray[np.intp], seed: int, say: Say) -> Floats:
    with damage_removed():
        return _places(found, drawn, seed, say)


def _places(found: CellVectors, drawn: npt.NDArray[np.intp], seed: int, say: Say) -> Floats:
    """Return where each cell lies, ``(n, 2)``."""
    say(0, 0, "Loading UMAP, which is compiled the first time on a machine: a minute or two")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with code_kept():
                from pynndescent import NNDescent
                from umap import UMAP
    except ImportError as error:
        raise CytoError(
            'The map of cells needs umap-learn; install it with: pip install "napari-cyto[window]".'
        ) from error

    class ExactSearch(NNDescent):
        """Finds the nearest of the fitted cells for those that are laid in."""

        _angular_trees = False

        def __init__(self, rows: Floats) -> None:
            self._rows = rows

        def query(self, sought: Floats, k: int = 10, epsilon: float = 0.1) -> tuple[Any, Any]:  # noqa: ARG002
            return _exact(self._rows, sought, k)

    axes = _axes(unit_rows(found.vectors[drawn]), seed)
    fitted = axes(found.vectors[drawn])
    near = min(NEIGHBOURS, len(fitted) - 1)
    say(0, 0, "Finding the neighbours of each cell")
    neighbours, distances = _exact(fitted, fitted, near)
    start = fitted[:, :2] * (10 / max(float(np.abs(fitted[:, :2]).max()), 1e-6))
    # A jot of noise: cells with equal vectors would stay on one point.
    start = start + np.random.default_rng(seed).normal(0, 1e-3, start.shape).astype(np.float32)
    umap = UMAP(
        n_neighbors=near,
        init=start,
        random_state=seed,
        n_jobs=1,
        precomputed_knn=(neighbours, distances, ExactSearch(fitted)),
        verbose=True,
        tqdm_kwds={"file": _Epochs(say), "bar_format": "{n}/{total} ", "mininterval": 0.1},
    )
    xy = np.empty((len(found.ids), 2), dtype=np.float32)
    # UMAP prints what it does where its progress is asked for; on stdout there may be JSON.
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        xy[drawn] = umap.fit_transform(fitted)
        umap.verbose = False
        others = np.setdiff1d(np.arange(len(found.ids)), drawn, assume_unique=True)
        for first in range(0, len(others), _LAID_IN_AT_ONCE):
            say(first, len(others), "Laying in the other cells")
            part = others[first : first + _LAID_IN_AT_ONCE]
            xy[part] = umap.transform(axes(found.vectors[part]))
    return xy


def _axes(rows: Floats, seed: int) -> Callable[[npt.ArrayLike], Floats]:
    """Return what brings vectors to their 50 directions of largest spread, which keep the neighbours and save time."""
    sample = rows[np.random.default_rng(seed).permutation(len(rows))[:5_000]]
    middle = sample.mean(0)
    spread = (sample - middle).T @ (sample - middle)
    _, directions = np.linalg.eigh(spread)
    directions = directions[:, ::-1][:, :_COMPONENTS].astype(np.float32)
    # Of either sign of a direction the same one is taken on every machine.
    directions *= np.sign(directions[np.abs(directions).argmax(0), np.arange(directions.shape[1])])

    def project(vectors: npt.ArrayLike) -> Floats:
        brought: Floats = np.ascontiguousarray((unit_rows(vectors) - middle) @ directions, dtype=np.float32)
        return brought

    return project


def _exact(rows: Floats, sought: Floats, count: int) -> tuple[npt.NDArray[np.int32], Floats]:
    """Return the nearest rows of each sought one and their distances, the nearest first."""
    squares = (rows * rows).sum(1)
    found, distances = np.empty((len(sought), count), np.int32), np.empty((len(sought), count), np.float32)
    for first in range(0, len(sought), 1024):
        part = sought[first : first + 1024]
        away = squares - 2 * (part @ rows.T)
        chosen = np.argpartition(away, count - 1, axis=1)[:, :count]
        near = np.take_along_axis(away, chosen, 1)
        order = np.argsort(near, axis=1, kind="stable")
        found[first : first + len(part)] = np.take_along_axis(chosen, order, 1)
        squared = np.take_along_axis(near, order, 1) + (part * part).sum(1)[:, None]
        distances[first : first + len(part)] = np.sqrt(np.maximum(squared, 0))
    return found, distances


class _Epochs:
    """The file to which UMAP's progress bar writes how many of its epochs are behind."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def write(self, text: str) -> int:
        """Take what the bar shows."""
        done, _, total = text.strip().partition("/")
        if done.isdigit() and total.isdigit():
            self._say(int(done), int(total), "Fitting the map")
        return len(text)

    def flush(self) -> None:
        """Do nothing."""


def _in_thread(work: Callable[[Say], Any], token: Token | None) -> Generator[Any, None, Any]:
    """Yield what ``work`` says while it goes on in a thread; return what it returns."""
    said: queue.SimpleQueue[tuple[int, int, str]] = queue.SimpleQueue()
    ended: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            ended.append(work(lambda *words: said.put(words)))
        except BaseException as error:  # noqa: BLE001  raised again where the result is waited for
            errors.append(error)

    thread = threading.Thread(target=run, name="map", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_LOOK_S)
        stop_if_cancelled(token, _KEPT)
        while not said.empty():
            done, total, words = said.get()
            yield Advanced(done, total, f"{words}.")
    if errors:
        raise errors[0]
    return ended[0]


def trust_of(vectors: npt.NDArray[Any], xy: npt.NDArray[Any], slide_ids: tuple[str, ...], seed: int = 0) -> Trust:
    """Return how far a map may be trusted, and how much of it is the slides.

    Parameters
    ----------
    vectors : ndarray, (n, length)
        Not normalised.
    xy : ndarray, (n, 2)
        Their places on the map.
    slide_ids : tuple of str
        The slide of each.
    seed : int
        Of the samples.

    Source
    ------
    Venna and Kaski 2001, Neighborhood preservation in nonlinear projection methods, equation 1, as in scikit-learn;
    the mean over eight samples of at most 600 cells each, with Student's interval of that mean. Under 1,200 cells it is
    measured on all of them at once.
    """
    from sklearn.manifold import trustworthiness

    order = np.random.default_rng(seed).permutation(len(xy))
    samples = [order[n * _SAMPLE : (n + 1) * _SAMPLE] for n in range(_SAMPLES)]
    whole = [rows for rows in samples if len(rows) == _SAMPLE]
    if len(whole) < _SAMPLES:
        # A small project is cut into as many samples, each of them smaller.
        whole = list(np.array_split(order, _SAMPLES)) if len(order) >= _LEAST_SAMPLE * _SAMPLES else [order]
    near = max(1, min(NEIGHBOURS, min(map(len, whole)) // 2 - 1))
    values = [float(trustworthiness(unit_rows(vectors[rows]), xy[rows], n_neighbors=near)) for rows in whole]
    mean = float(np.mean(values))
    half = _TWO_SIDED_T7 * float(np.std(values, ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    own, chance = _slide_shares(vectors, np.sort(np.concatenate(whole)), slide_ids)
    return Trust(mean, float(max(0.0, mean - half)), float(min(1.0, mean + half)), own, chance, sum(map(len, whole)))


def _slide_shares(
    vectors: npt.NDArray[Any], rows: npt.NDArray[np.intp], slide_ids: tuple[str, ...]
) -> tuple[float | None, float | None]:
    names, codes = np.unique([slide_ids[n] for n in rows.tolist()], return_inverse=True)
    if len(names) < 2:
        return None, None
    sample = np.asarray(vectors[rows])
    found, _ = nearest(sample, sample, min(NEIGHBOURS, len(rows) - 1) + 1)
    others = codes[found]
    is_self = found == np.arange(len(rows))[:, None]
    own = ((others == codes[:, None]) & ~is_self).sum() / (~is_self).sum()
    sizes = np.bincount(codes)
    return float(own), float((sizes * (sizes - 1)).sum() / (len(rows) * (len(rows) - 1)))


def read_map(path: Path, without: int = 0) -> CellMap:
    """Return a map that `map_cells` kept.

    Raises
    ------
    CytoError
        When it cannot be read, or is damaged.
    """
    made = _read_or_none(path, without)
    if made is None:
        raise CytoError(f"{path}: expected a map of cells, got a damaged file or none; make the map again.")
    return made


def kept_map(project: Project) -> CellMap | None:
    """Return the map that was made last: of the newest vectors of a project, else of others; None where none was."""
    kinds = vector_kinds(project)
    try:
        kept = sorted(
            (vectors_folder(project) / _FOLDER).glob("*.npz"), key=lambda each: each.stat().st_mtime_ns, reverse=True
        )
    except OSError:
        return None
    for of in (*kinds[:1], None):
        read = (_read_or_none(path, of=of) for path in kept)
        made = next((made for made in read if made is not None), None)
        if made is not None:
            return made
    return None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a map, or that there is none, stands to what the project has now.

    Parameters
    ----------
    map_kind : VectorKind or None
        Whose vectors the map shows; None without a map.
    newest : VectorKind or None
        The newest vectors of the project; None where it has none.
    with_vector : int
        Cells that have one of these.
    new : int
        Those of them that are not on the map.
    without : int
        Cells that neither have one nor are on the map.
    """

    map_kind: VectorKind | None
    newest: VectorKind | None
    with_vector: int
    new: int
    without: int

    @property
    def sentence(self) -> str:
        """What to know, and what to do about it; empty where the map shows all that there is."""
        if self.newest is None:
            return "" if self.map_kind is None else "The vectors of this map are no longer there; compute them anew."
        if self.with_vector < LEAST_CELLS:
            other = "" if self.map_kind in (None, self.newest) else f"This map is by {self.map_kind.encoder}. "
            return other + _too_few(self.with_vector, self.without, self.newest.encoder)
        if self.map_kind is None:
            return f"{counted(self.with_vector, 'cell')} with a vector and no map yet: make it."
        if self.map_kind != self.newest:
            return self._changed
        return f"{counted(self.new, 'cell')} not on this map; make it anew." if self.new else ""

    @property
    def _changed(self) -> str:
        assert self.map_kind is not None
        assert self.newest is not None
        before, now = self.map_kind.encoder, self.newest.encoder
        if before == now:
            is_other = self.map_kind.sha256 != self.newest.sha256
            before, now = (f"an earlier {now}", f"the present {now}") if is_other else (now, f"{now} on other crops")
        return (
            f"This map is by {before}, the newest vectors are by {now} ({counted(self.with_vector, 'cell')}); make the "
            "map anew. Cells like this and label errors go by the newest."
        )


def standing_of(project: Project, made: CellMap | None) -> Standing:
    """Return how a map, or none, stands to the cells that the project has now, and to their newest vectors.

    Raises
    ------
    CytoError
        When the vectors cannot be read.
    """
    shown = frozenset[str]() if made is None else frozenset(made.ids)
    kinds = vector_kinds(project)
    ids, without = cells_with_vectors(project, kinds[0]) if kinds else ((), 0)
    new = sum(i not in shown for i in ids)
    if shown and without:
        stored = {cell[0] for slide in project.slides() for part in project.cell_rows(slide.id) for cell in part}
        without = len(stored - shown.union(ids))
    return Standing(None if made is None else made.kind, kinds[0] if kinds else None, len(ids), new, without)


def _too_few(count: int, without: int, encoder: str = "") -> str:
    by = f" by {encoder}" if encoder else ""
    what = (
        f"{counted(without, 'other cell')} without one: compute them in the Teach dock, or with "
        "napari-cyto embed PROJECT"
        if without
        else "find or draw more cells and compute their vectors first"
    )
    return f"Expected at least {LEAST_CELLS} cells with a vector{by} for a map, got {count}; {what}."


def _read_or_none(path: Path, without: int = 0, of: VectorKind | None = None) -> CellMap | None:
    """Return a map that was kept; None where it is damaged, or is not ``of`` the vectors that are meant."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            about = json.loads(stored["about"].tobytes())
            if of is not None and VectorKind(**about["kind"]) != of:
                return None
            ids, slides, codes, xy = (stored[name] for name in ("ids", "slides", "slide_codes", "xy"))
        if about["format"] != FORMAT or about["sha256"] != _digest(ids, slides, codes, xy):
            return None
        cells, names = _texts(ids), _texts(slides)
        if xy.shape != (len(cells), 2) or codes.shape != (len(cells),) or codes.max(initial=0) >= len(names):
            return None
        return CellMap(
            VectorKind(**about["kind"]),
            cells,
            tuple(names[code] for code in codes.tolist()),
            xy.astype(np.float32),
            int(about["fitted"]),
            without,
            Trust(**about["trust"]),
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
    except Exception:  # noqa: BLE001  zipfile and zlib raise of their own; a damaged map is made again
        return None


def _write(path: Path, made: CellMap) -> None:
    names, codes = np.unique(made.slide_ids, return_inverse=True)
    ids, slides = _bytes(made.ids), _bytes(tuple(names.tolist()))
    codes = codes.astype(np.int32)
    about = {
        "format": FORMAT,
        "kind": made.kind.model_dump(),
        "fitted": made.fitted,
        "trust": asdict(made.trust),
        "sha256": _digest(ids, slides, codes, made.xy),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path, "partial")
    try:
        with temporary.open("wb") as stream:
            np.savez(
                stream,
                about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8),
                ids=ids,
                slides=slides,
                slide_codes=codes,
                xy=made.xy,
            )
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    kept = sorted(path.parent.glob("*.npz"), key=lambda each: each.stat().st_mtime_ns, reverse=True)
    for old in kept[_MAPS_KEPT:]:
        with suppress(OSError):
            old.unlink()


def _bytes(texts: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(json.dumps(texts).encode(), dtype=np.uint8)


def _texts(stored: npt.NDArray[np.uint8]) -> tuple[str, ...]:
    return tuple(map(str, json.loads(stored.tobytes())))


def _digest(*arrays: npt.NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
