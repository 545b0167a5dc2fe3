"""What a click on the slide means."""

from __future__ import annotations

from enum import StrEnum


class Tool(StrEnum):
    """The tool in hand."""

    SELECT = "select"
    POINT = "point"
    BOX = "box"
    REGION = "region"
    OUTLINE = "outline"
