"""Long work as a generator of events that ends in exactly one of done, failed, cancelled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from napari_cyto.errors import CytoError, ScaleUnknownError


class Token(Protocol):
    """Asks a job to stop; jobs look at it between small steps, at least ten times a second."""

    def cancelled(self) -> bool:
        """Whether the user asked for the job to stop."""
        ...


class CancelToken:
    """A token for jobs that run in the same process as who cancels them."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the job to stop."""
        self._event.set()

    def cancelled(self) -> bool:
        """Whether the user asked for the job to stop."""
        return self._event.is_set()


@dataclass(frozen=True, slots=True)
class Advanced:
    """``done`` of ``total`` steps are behind; ``total`` 0 means that it is not known yet."""

    done: int
    total: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class Noted:
    """Something a person should read, but that does not stop the job."""

    message: str


@dataclass(frozen=True, slots=True)
class Measured:
    """Numbers worth a curve or a table while the job works; ``values`` is made of JSON-able values."""

    values: dict[str, Any] = field(default_factory=dict)


class Result(Protocol):
    """What a job ends with: a frozen value that can be pickled, and that machines read as JSON."""

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON-able values."""
        ...


@dataclass(frozen=True, slots=True)
class Done:
    """The job ended well; ``result`` is a `Result` of the job's own kind, or a mapping of JSON-able values."""

    result: Any = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON-able values."""
        plain: dict[str, Any] = self.result if isinstance(self.result, dict) else self.result.to_json()
        return plain


@dataclass(frozen=True, slots=True)
class Failed:
    """The job ended with an error; ``message`` is its sentence, ``expected`` whether it was a CytoError.

    ``without_scale`` names the images whose µm per px were missing, where that was the error.
    """

    message: str
    expected: bool = True
    traceback: str = ""
    without_scale: tuple[str, ...] = ()

    @property
    def error(self) -> CytoError:
        """What was raised, where that was expected."""
        return ScaleUnknownError(self.message, self.without_scale) if self.without_scale else CytoError(self.message)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The job ended because its user asked for it; ``message`` says what was kept."""

    message: str = "Cancelled."


Event: TypeAlias = Advanced | Noted | Measured | Done | Failed | Cancelled
Events: TypeAlias = Iterator[Event]
