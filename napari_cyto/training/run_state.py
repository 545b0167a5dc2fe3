"""What is known of a training run at one moment, and how each event that it writes changes that; a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

Status: TypeAlias = Literal["waiting", "running", "done", "failed", "cancelled", "killed"]
ENDED: tuple[Status, ...] = ("done", "failed", "cancelled", "killed")
NOTES_KEPT = 50


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the training cells gave.

    Parameters
    ----------
    number : float
        Counted from 1 over all phases; a fraction is inside an epoch.
    phase : str
        The phase that it belongs to.
    train_loss, val_loss, score : float or None
        As measured; ``score`` is what the run maximises.
    metrics : mapping
        Name to value on the validation cells.
    """

    number: float
    phase: str = ""
    train_loss: float | None = None
    val_loss: float | None = None
    score: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as its watcher sees it; ``sentence`` is its last word once it has ended."""

    status: Status = "waiting"
    epochs: tuple[Epoch, ...] = ()
    of_epochs: int = 0
    done: int = 0
    total: int = 0
    message: str = ""
    notes: tuple[str, ...] = ()
    recall: Mapping[str, float | None] = field(default_factory=dict)
    images_per_s: float | None = None
    eta_s: float | None = None
    score_name: str = ""
    worst: tuple[Mapping[str, Any], ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict)
    sentence: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ENDED

    @property
    def best(self) -> Epoch | None:
        """The epoch of the highest score so far: what the model is kept from."""
        scored = [e for e in self.epochs if e.score is not None]
        return max(scored, key=lambda e: e.score or 0.0) if scored else None


def after(state: RunState, record: Mapping[str, Any]) -> RunState:
    """Return the state after one record of ``events.jsonl``; kinds that are not known change nothing."""
    match record.get("event"):
        case "advanced":
            return replace(
                state,
                status="running",
                done=int(record.get("done", 0)),
                total=int(record.get("total", 0)),
                message=str(record.get("message") or state.message),
            )
        case "noted":
            notes = (*state.notes, str(record.get("message", "")))[-NOTES_KEPT:]
            return replace(state, status="running", notes=notes)
        case "measured":
            return _measured(state, record.get("values", record))
        case "done":
            return replace(state, status="done", result=dict(record.get("result", {})), eta_s=None, message="")
        case "failed":
            return replace(state, status="failed", sentence=_failure(record), eta_s=None)
        case "cancelled":
            return replace(state, status="cancelled", sentence=str(record.get("message", "Cancelled.")), eta_s=None)
    return state


def _measured(state: RunState, values: Mapping[str, Any]) -> RunState:
    number = values.get("epoch")
    epochs = state.epochs
    if number is not None:
        epoch = Epoch(
            float(number),
            str(values.get("phase", "")),
            values.get("train_loss"),
            values.get("val_loss"),
            values.get("score"),
            {k: float(v) for k, v in (values.get("metrics") or {}).items() if isinstance(v, int | float)},
        )
        # A run that was taken up again measures the epochs after its checkpoint anew.
        epochs = (*(e for e in epochs if e.number < epoch.number), epoch)
    return replace(
        state,
        status="running",
        epochs=epochs,
        of_epochs=int(values.get("epochs") or state.of_epochs),
        score_name=str(values.get("score_name") or state.score_name),
        recall=values.get("per_class_recall") or state.recall,
        images_per_s=values.get("images_per_s", state.images_per_s),
        eta_s=values.get("eta_s", state.eta_s),
        worst=tuple(values["worst"]) if "worst" in values else state.worst,
    )


def _failure(record: Mapping[str, Any]) -> str:
    bug = "" if record.get("expected", True) else " This is a fault of the program; please report it."
    return f"{record.get('message', 'The run failed.')}{bug}"
