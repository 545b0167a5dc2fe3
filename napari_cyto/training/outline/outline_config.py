"""All settings of a training run of outlines, as one frozen value; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from napari_cyto.domain.quantities import Seed
from napari_cyto.domain.resources import resource_path
from napari_cyto.errors import CytoError
from napari_cyto.formats.text import read_yaml

RECIPE = "outline-unet"
"""The recipe that ships."""

HELD_OUT_SEED = 1_000_000
"""Held-out fields count on from the seed of the first field and this; recipes learn on fewer fields."""

FieldMpp = Annotated[float, Field(ge=0.1, le=1.0)]
Variety = Annotated[float, Field(ge=0, le=2)]
Channels = Annotated[int, Field(ge=4, le=512)]


class OutlineTrainConfig(BaseModel):
    """How a model of outlines is trained: on made-up fields with exact masks, and on outlines that people accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["outline"] = Field(default="outline", title="Kind", description="A model of outlines.")
    name: str = Field(default="custom", title="Recipe", description="Its name.")
    title: str = Field(default="", title="Title", description="What people read in a list.")
    summary: str = Field(default="", title="Summary", description="One sentence: what it is good for.")
    source: str = Field(default="", title="Source", description="Paper and section.")
    deviations: tuple[str, ...] = Field(
        default=(), title="Deviations", description="Where it departs from its source, one sentence each."
    )
    widths: tuple[Channels, ...] = Field(
        default=(16, 32, 64, 96, 128),
        min_length=2,
        max_length=6,
        title="Widths",
        description="Channels at a half, a quarter ... of the crop's size.",
    )
    side_px: int = Field(default=96, ge=16, le=512, title="Crop, px", description="Side of a crop.")
    fields: int = Field(
        default=100,
        ge=1,
        le=2_000,
        title="Made-up fields",
        description="To learn on; all are in memory, 17 MB each at 2,048 px.",
    )
    field_px: int = Field(default=2048, ge=256, le=8192, title="Field, px", description="Side of a made-up field.")
    mpps: tuple[FieldMpp, ...] = Field(
        default=(0.25, 0.25, 0.2, 0.3), min_length=1, title="µm per px", description="Of the fields, in turn."
    )
    varieties: tuple[Variety, ...] = Field(
        default=(1.0, 0.5, 1.0, 0.0),
        min_length=1,
        title="Variety",
        description="How far stains stray from Papanicolaou's, in turn; each third field has the first.",
    )
    field_seed: int = Field(
        default=0, ge=0, le=100_000_000, title="First field", description="Its seed; the others count on from it."
    )
    held_out_fields: int = Field(
        default=8, ge=1, le=200, title="Held-out fields", description="Made up with other seeds, to measure on."
    )
    held_out_px: int = Field(default=1400, ge=256, le=4096, title="Held-out field, px", description="Its side.")
    share: float = Field(
        default=0.25, gt=0, lt=1, title="Share", description="Of crops from outlines of a project, where there are any."
    )
    most_outlines: int = Field(
        default=2_000,
        ge=10,
        le=20_000,
        title="Outlines",
        description="Of a project at most so many, drawn at random; about half a MB each in memory.",
    )
    held_out_share: float = Field(
        default=0.2,
        gt=0,
        lt=0.5,
        title="Held-out share",
        description="Of a project's outlines, by patient, else smear, else slide.",
    )
    epochs: int = Field(default=18, ge=1, le=10_000, title="Epochs", description="The rate falls over all of them.")
    steps: int = Field(default=100, ge=2, le=100_000, title="Steps", description="Batches of an epoch.")
    batch: int = Field(default=32, ge=2, le=1_024, title="Batch", description="Crops of a step.")
    rate: float = Field(default=2e-3, gt=0, le=1, title="Learning rate", description="The highest, of AdamW.")
    decay: float = Field(default=1e-2, ge=0, le=1, title="Weight decay", description="Of AdamW.")
    keep: float = Field(
        default=0.998, ge=0, lt=1, title="Mean", description="Share of the running mean of weights that a step keeps."
    )
    seed: Seed = Field(default=1, title="Seed", description="Of first weights, crops and draws.")
    weights_dtype: Literal["fp32", "fp16"] = Field(default="fp16", title="Stored as", description="In the bundle.")
    licence: str = Field(default="", title="Licence", description="Of the model, for its card.")
    attribution: str = Field(default="", title="Attribution", description="Whom users of the model have to name.")
    intended_use: str = Field(
        default="The Outline tool, `napari-cyto outline` and measurements on Papanicolaou-stained cells in colour or "
        "grey; a person looks at each outline that is measured.",
        title="Intended use",
        description="For the model's card.",
    )
    limits: str = Field(
        default="For research use only; not for diagnosis without review. Two nuclei that touch may become one or be "
        "cut elsewhere than a person would; a border of cytoplasm under other cells is a guess; where the µm per px "
        "are unknown it looks for the size first and errs more often. Figures on made-up smears are higher than those "
        "on real ones.",
        title="Limits",
        description="What the model is not for, for its card.",
    )

    @model_validator(mode="after")
    def _crop_can_be_halved(self) -> OutlineTrainConfig:
        if self.side_px % 2 ** len(self.widths):
            raise ValueError(f"{len(self.widths)} widths need a side_px that is a multiple of {2 ** len(self.widths)}")
        return self

    def field_kind(self, number: int) -> tuple[int, float, float]:
        """Return seed, µm per px and variety of the made-up field of a number, counted from 0."""
        variety = self.varieties[number % len(self.varieties) if number % 3 else 0]
        return self.field_seed + number, self.mpps[number % len(self.mpps)], variety


def outline_recipe(named: str | None = None, settings: Sequence[str] = ()) -> OutlineTrainConfig:
    """Return the recipe that ships, or that of a YAML file, with single values changed.

    Parameters
    ----------
    named : str or None
        A YAML file; None, or the name of the built-in recipe, for the one that ships.
    settings : sequence of str
        ``KEY=VALUE``, such as ``epochs=20``; a list has commas between its values.

    Raises
    ------
    CytoError
        When the file or a setting is wrong.
    """
    place = resource_path("recipes") / f"{RECIPE}.yaml" if named in (None, RECIPE) else Path(str(named)).expanduser()
    if not place.is_file():
        raise CytoError(f"Expected the recipe {RECIPE} or a YAML file, got {named!r}.")
    values: Any = read_yaml(place)
    if not isinstance(values, dict):
        raise CytoError(f"{place}: expected a recipe of named values, got something else.")
    if values.get("kind") != "outline":
        raise CytoError(f"{place}: expected a recipe of kind outline, got {values.get('kind')!r:.40}.")
    lists = {name for name, field in OutlineTrainConfig.model_fields.items() if isinstance(field.default, tuple)}
    for words in settings:
        key, equals, value = words.partition("=")
        if not (equals and key):
            raise CytoError(f"Expected KEY=VALUE behind --set, got {words!r}.")
        values[key] = [part.strip() for part in value.strip("[]").split(",")] if key in lists else value
    try:
        return OutlineTrainConfig.model_validate(values)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        came = "" if isinstance(fault["input"], dict) else f", got {fault['input']!r:.60}"
        raise CytoError(f"The recipe's {where or 'values'}: {fault['msg']}{came}.") from error
