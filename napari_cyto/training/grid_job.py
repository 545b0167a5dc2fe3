"""Train on each source, test on each: what a change of source costs. A job that goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_cyto.datasets.training.scheme import refuse_unreadable, scheme_name_for
from napari_cyto.datasets.training.sources import SourceSpec, parse_source
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.evaluation.bundle_scores import evaluate_bundle
from napari_cyto.evaluation.config import EvaluateConfig
from napari_cyto.evaluation.evaluation_result import ModelEvaluation
from napari_cyto.evaluation.grid_table import GridRow, GridTable, grid_row, write_grid
from napari_cyto.files.atomic import write_text
from napari_cyto.files.safe_names import safe_name
from napari_cyto.jobs.events import Advanced, Cancelled, Done, Event, Events, Failed, Noted, Token
from napari_cyto.jobs.outcome import ending_once, stop_if_cancelled
from napari_cyto.training.config import TrainConfig

ALL = "all sources"

_KEPT = "The models and tables so far are kept; the same command goes on from there."
_STEPS = 1000
_DEFAULT = EvaluateConfig()
_NEW_IN_SPLIT: dict[str, Any] = {"share_of": "cells", "fill": True, "reason": ""}
"""Settings of the split that earlier versions did not know, with what they did."""


@dataclass
class _Grid:
    """What the steps of one grid share."""

    sources: dict[str, tuple[SourceSpec, ...]]
    out: Path
    train: TrainConfig
    evaluate: EvaluateConfig
    token: Token | None
    warnings: list[str] = field(default_factory=list)

    def model(self, name: str) -> Path:
        return self.out / "models" / safe_name(name)

    def result(self, kind: str, *names: str) -> Path:
        return self.out / "results" / f"{kind}-{'--'.join(safe_name(name) for name in names)}.json"

    @property
    def fingerprint(self) -> str:
        """A fingerprint of what makes a model or a result still the one that was asked for."""
        return self._fingerprint(self.train.model_dump(mode="json"))

    @property
    def fingerprints(self) -> frozenset[str]:
        """The fingerprint with those that earlier versions, which knew fewer settings, gave to the same grid."""
        train = self.train.model_dump(mode="json")
        if all(train["split"][name] == usual for name, usual in _NEW_IN_SPLIT.items()):
            before = train | {"split": {n: v for n, v in train["split"].items() if n not in _NEW_IN_SPLIT}}
            return frozenset({self.fingerprint, self._fingerprint(before)})
        return frozenset({self.fingerprint})

    def _fingerprint(self, train: dict[str, Any]) -> str:
        content = {
            "train": train,
            "evaluate": self.evaluate.model_dump(mode="json"),
            "sources": {name: [str(s) for s in specs] for name, specs in self.sources.items()},
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def run_grid(
    sources: Sequence[SourceSpec | str],
    out: Path,
    train: TrainConfig,
    evaluate: EvaluateConfig = _DEFAULT,
    together: bool = False,
    token: Token | None = None,
) -> Events:
    """Train a model on each source and test it on each; a job.

    Parameters
    ----------
    sources : sequence of SourceSpec or str
        Two or more, see `training_sources.parse_source`.
    out : Path
        A folder for ``models``, ``results`` and the table: ``grid.json``, ``grid.csv``, ``index.html``. When it holds
        an earlier part of the same grid, the job goes on from there.
    train : TrainConfig
        The recipe.
    evaluate : EvaluateConfig
        Radius, intervals.
    together : bool
        Whether one more model is trained on all sources together.
    token : Token, optional
        Asks the job to stop.

    Yields
    ------
    Event
        The last one is ``Done`` with a `GridTable`, ``Cancelled`` or ``Failed``.

    Notes
    -----
    Source: Coskun et al., section 3, table 6.
    """
    yield from ending_once(_steps(sources, out, train, evaluate, together, token))


def _steps(
    sources: Sequence[SourceSpec | str],
    out: Path,
    train: TrainConfig,
    evaluate: EvaluateConfig,
    together: bool,
    token: Token | None,
) -> Generator[Event, None, None]:
    named = named_sources(sources)
    refuse_unreadable(str(spec) for specs in named.values() for spec in specs)
    # One scheme for all, whichever source a model is trained on, so that each can be tested on the others.
    scheme = train.scheme or scheme_name_for(spec for specs in named.values() for spec in specs)
    grid = _Grid(named, out, train.with_values({"scheme": scheme}), evaluate, token)
    _check_place(grid)
    trained = dict(grid.sources)
    if together:
        trained[ALL] = tuple(spec for specs in grid.sources.values() for spec in specs)
    rows: list[GridRow] = []
    share = _STEPS // len(trained)
    for number, (name, specs) in enumerate(trained.items()):
        began = number * share
        yield from _trained(grid, name, specs, began, share)
        for tested, of_test in grid.sources.items():
            yield Advanced(began + share * 9 // 10, _STEPS, f"{name} on {tested}")
            found = yield from _tested(grid, name, specs, tested, of_test)
            rows.append(grid_row(name, tested, found))
            grid.warnings += [f"{name} on {tested}: {w}" for w in found.data.warnings]
    table = GridTable(
        kind=train.model.kind,
        recipe=train.name,
        sources={name: _described(specs) for name, specs in grid.sources.items()},
        rows=tuple(rows),
        warnings=tuple(grid.warnings),
    )
    yield Done(write_grid(out, table))


def named_sources(sources: Sequence[SourceSpec | str]) -> dict[str, tuple[SourceSpec, ...]]:
    """Return the sources by what people call them: their folder's name, with a number where two share one.

    Raises
    ------
    CytoError
        When there are fewer than two, or one comes twice.
    """
    specs = [parse_source(s) if isinstance(s, str) else s for s in sources]
    if len(specs) < 2 or len(set(specs)) < len(specs):
        raise CytoError(f"Expected two or more different sources, each with --data, got {len(specs)}, or one twice.")
    bare = [spec.path.name.removesuffix(".cyto") or str(spec.path) for spec in specs]
    counts, seen = Counter(bare), Counter[str]()
    named: dict[str, tuple[SourceSpec, ...]] = {}
    for name, spec in zip(bare, specs, strict=True):
        seen[name] += 1
        named[f"{name} {seen[name]}" if counts[name] > 1 or name == ALL else name] = (spec,)
    return named


def _check_place(grid: _Grid) -> None:
    """Make the folder, or refuse one in which another grid was begun.

    Raises
    ------
    CytoError
        When its settings or sources are others.
    """
    marker = grid.out / "asked.json"
    there = [name for name in ("grid.json", "grid.csv", "index.html") if (grid.out / name).exists()]
    if there and not marker.exists():
        raise CytoError(
            f"{grid.out}: {there[0]} in this folder is not from a grid and would be replaced; choose another folder."
        )
    grid.out.mkdir(parents=True, exist_ok=True)
    for folder in ("models", "results"):
        (grid.out / folder).mkdir(exist_ok=True)
    if marker.exists() and _read(marker).get("asked") not in grid.fingerprints:
        raise CytoError(f"{grid.out} holds a grid with other sources or settings; choose another folder, or remove it.")
    write_text(marker, json.dumps({"asked": grid.fingerprint}) + "\n")


def _trained(
    grid: _Grid, name: str, specs: tuple[SourceSpec, ...], began: int, share: int
) -> Generator[Event, None, None]:
    """Train a model unless that is done; go on with a run that was stopped."""
    stop_if_cancelled(grid.token, _KEPT)
    done = grid.result("trained", name)
    if done.exists():
        return
    # Imported here, so that a window or a plain command line never loads torch.
    from napari_cyto.jobs.run_folder import RunFolder
    from napari_cyto.training.run import train

    out = grid.model(name)
    resume = can_go_on(RunFolder.of(out).path)
    for event in train(grid.train, tuple(str(spec) for spec in specs), out, grid.token, resume):
        match event:
            case Done():
                record = event.to_json()
                write_text(done, json.dumps({"id": record.get("id"), "metrics": record.get("metrics")}) + "\n")
            case Failed(message):
                raise CytoError(f"Training on {name}: {message} {_KEPT}")
            case Cancelled():
                raise JobCancelled(f"Cancelled. {_KEPT}")
            case Advanced(step, total, message):
                yield Advanced(began + (share * 9 * step // (10 * total) if total else 0), _STEPS, f"{name}: {message}")
            case Noted(message):
                yield Noted(f"{name}: {message}")
            case _:
                yield event


def can_go_on(run_folder: Path) -> bool:
    """Whether a run left a checkpoint to go on from."""
    return any(run_folder.glob("checkpoint*")) if run_folder.is_dir() else False


def _tested(
    grid: _Grid, name: str, trained_on: tuple[SourceSpec, ...], tested: str, of_test: tuple[SourceSpec, ...]
) -> Generator[Event, None, ModelEvaluation]:
    """Return the result of one field of the table, from the disk where it is there."""
    stop_if_cancelled(grid.token, _KEPT)
    place = grid.result("tested", name, tested)
    if place.exists():
        return ModelEvaluation.from_json(_read(place), f"{place} is damaged; remove it, and it is made again")
    is_own = {*of_test} <= {*trained_on}
    config = grid.evaluate.model_copy(update={"side": "test" if is_own else "auto"})
    for event in evaluate_bundle(grid.model(name), of_test, config, grid.token):
        match event:
            case Done(found):
                evaluation: ModelEvaluation = found
                write_text(place, json.dumps(evaluation.to_json(), ensure_ascii=False, allow_nan=False) + "\n")
                return evaluation
            case Failed(message):
                raise CytoError(f"{name} on {tested}: {message} {_KEPT}")
            case Cancelled():
                raise JobCancelled(f"Cancelled. {_KEPT}")
            case Noted():
                yield event
    raise CytoError(f"{name} on {tested}: the evaluation ended without a last word.")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CytoError(f"{path}: it is damaged; remove it, and it is made again.") from error
    return dict(content) if isinstance(content, dict) else {}


def _described(specs: tuple[SourceSpec, ...]) -> tuple[str, ...]:
    """Return sources without the folders above their own, which are nobody's business elsewhere."""
    return tuple(str(replace(spec, path=Path(spec.path.name))) for spec in specs)
