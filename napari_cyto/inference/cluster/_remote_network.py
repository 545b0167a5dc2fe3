"""A network that others run: all that a run must know of it where it is planned and written down."""

from __future__ import annotations

from dataclasses import dataclass

from napari_cyto.inference.runtimes.runtime import RGB, DetectorRuntime
from napari_cyto.jobs.events import Token
from napari_cyto.models.found_cells import FoundCells


@dataclass
class Elsewhere:
    """What is known of a detector on a worker; see `DetectorRuntime`."""

    title: str
    device: str
    halo: int
    multiple: int
    bytes_per_px: int
    side_px: int | None = None

    @classmethod
    def of(cls, runtime: DetectorRuntime) -> Elsewhere:
        """Return what is to be known of a runtime here."""
        return cls(runtime.title, runtime.device, runtime.halo, runtime.multiple, runtime.bytes_per_px, runtime.side_px)

    def ready(self, height: int, width: int) -> None:
        """Do nothing: workers make ready what they need."""

    def cells(self, pixels: RGB, floor: float, token: Token | None = None) -> FoundCells:  # noqa: ARG002
        """Refuse: nothing is computed here."""
        raise AssertionError("this network computes on workers")
