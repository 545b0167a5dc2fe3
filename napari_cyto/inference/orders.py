"""What the window and the process beside it say to each other: orders one way, events of a question the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from napari_cyto.domain.json_values import from_plain
from napari_cyto.inference.outline.clicks import ClickRequest
from napari_cyto.inference.request import PredictRequest
from napari_cyto.jobs.events import Event
from napari_cyto.jobs.run_folder import from_dict, to_dict

AT_ONCE = "--at-once"
"""What a process is started with that does not work behind everything else on the machine."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the process is asked to do.

    Parameters
    ----------
    do : str
        ``run`` looks for cells, ``warm`` loads the models only, ``outline`` outlines what lies under clicks (without
        any it loads what these need), ``cancel`` stops what is at work.
    request : PredictRequest or None
        Of the first two.
    clicks : ClickRequest or None
        Of ``outline``; what was asked before it and is not answered yet is not wanted any more.
    drop : bool
        Whether what a cancelled run found so far is not wanted.
    """

    do: Literal["run", "warm", "outline", "cancel"]
    request: PredictRequest | None = None
    clicks: ClickRequest | None = None
    drop: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the object that is sent as a line."""
        if self.clicks is not None:
            return {"do": self.do, "clicks": self.clicks.model_dump(mode="json")}
        if self.request is None:
            return {"do": self.do, "drop": self.drop}
        return {"do": self.do, "request": self.request.model_dump(mode="json")}

    @classmethod
    def from_json(cls, value: object) -> Order:
        """Return what ``to_json`` made.

        Raises
        ------
        CytoError
            When it is none.
        """
        return from_plain(cls, value, "An order to the detection process")


@dataclass(frozen=True, slots=True)
class Answer:
    """An event of the question number ``generation``."""

    event: Event
    generation: int

    def to_json(self) -> dict[str, Any]:
        """Return the object that is sent as a line."""
        return to_dict(self.event) | {"generation": self.generation}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Answer | None:
        """Return what ``to_json`` made; None for an event that is not known."""
        event, generation = from_dict(dict(value)), value.get("generation")
        return None if event is None or not isinstance(generation, int) else cls(event, generation)
