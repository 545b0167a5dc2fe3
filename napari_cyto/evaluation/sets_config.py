"""What is set of a calibration of prediction sets; titles, ranges and help are written here once."""

from __future__ import annotations

from pydantic import Field

from napari_cyto.domain.set_calibration import SetRates


class SetsConfig(SetRates):
    """How prediction sets are calibrated."""

    scanner: str = Field(
        default="",
        max_length=200,
        title="Scanner",
        description="Scanner or camera of images whose files do not name it.",
    )
    device: str = Field(default="auto", title="Device", description="auto, cpu, cuda, or one GPU as in cuda:1.")
