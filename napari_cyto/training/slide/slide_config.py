"""All settings of a training run on whole slides, as one frozen value; forms and the bundle's record come from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from napari_cyto.datasets.splits.config import SplitConfig
from napari_cyto.domain.interpretation import NEGATIVE, UNSATISFACTORY, category_of
from napari_cyto.domain.quantities import Seed
from napari_cyto.errors import CytoError
from napari_cyto.formats.text import read_yaml
from napari_cyto.inference.embed.job import EmbedOptions
from napari_cyto.inference.slide_scores.bags import PATCH_UM
from napari_cyto.vectors import VectorKind


class SlideTrainConfig(BaseModel):
    """How a model of slides is trained. Each slide with an interpretation is one bag of its cells or patches."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["slide"] = Field(default="slide", title="Kind", description="A model of whole slides.")
    name: str = Field(default="slide-attention", title="Recipe", description="What this recipe is called.")
    positive: str = Field(
        default="HSIL",
        title="Positive from",
        description="Slides with this interpretation or a more severe one are positive, all others negative; "
        "unsatisfactory slides are left out.",
    )
    bag: Literal["cells", "patches"] = Field(
        default="cells",
        title="Look at",
        description="cells: the cells of the project that have vectors. patches: squares side by side over the "
        "tissue; these need no cells, and take long on large slides.",
    )
    encoder: str = Field(
        default="",
        title="Encoder",
        description="The frozen encoder: its name in the model library, or its folder. Empty: that of the newest "
        "vectors of the cells; for patches, without any, the one that ships.",
    )
    patch_um: float = Field(
        default=PATCH_UM, ge=4, le=1_000, title="Patch, µm", description="Side of a patch: 256 px at 40x are 64 µm."
    )
    most_patches: int = Field(
        default=2_000, ge=1, le=200_000, title="Patches", description="At most so many of a slide, drawn at random."
    )
    hidden: int = Field(default=64, ge=4, le=2_048, title="Hidden", description="Numbers that a vector is reduced to.")
    attention: int = Field(default=32, ge=2, le=2_048, title="Attention", description="Units of the gated attention.")
    dropout: float = Field(
        default=0.25, ge=0, lt=1, title="Dropout", description="Share of numbers left out at random."
    )
    epochs: int = Field(default=60, ge=1, le=2_000, title="Epochs", description="At most so many passes.")
    patience: int = Field(
        default=12,
        ge=1,
        le=2_000,
        title="Patience",
        description="Epochs without a lower validation loss to stop after.",
    )
    lr: float = Field(default=5e-4, gt=0, le=1, title="Learning rate", description="Of AdamW.")
    weight_decay: float = Field(default=1e-3, ge=0, le=1, title="Weight decay", description="Of AdamW.")
    class_weights: bool = Field(
        default=True, title="Class weights", description="Positive and negative slides weigh the same in sum."
    )
    bag_limit: int = Field(
        default=4_096,
        ge=8,
        le=1_000_000,
        title="Bag limit",
        description="Of larger bags so many are drawn anew in each epoch; scores are of all.",
    )
    seeds: int = Field(
        default=5,
        ge=1,
        le=50,
        title="Seeds",
        description="Networks of different seeds: their mean is the score, and their spread its interval.",
    )
    seed: Seed = Field(default=0, title="Seed", description="Of the first network; the others count on from it.")
    checks: bool = Field(
        default=True,
        title="Check the explanation",
        description="Compare the attention with that of networks whose weights or labels were shuffled.",
    )
    held_out: bool = Field(
        default=True,
        title="Evaluate by folds",
        description="Also score each slide by networks that never saw it, fold by fold (split.folds). The calibration "
        "of the score rests on it; each fold takes as long as the training itself.",
    )
    split: SplitConfig = Field(
        default=SplitConfig(twins=False), title="Split", description="All slides of a patient are in one set."
    )
    device: str = Field(default="auto", title="Device", description="auto, cpu, cuda or cuda:1; of the encoder.")

    def patch_encoder(self, kinds: Sequence[VectorKind]) -> str:
        """Return the encoder of patches: the one named, else of the project's newest vectors, else the shipped one.

        Parameters
        ----------
        kinds : sequence of VectorKind
            Of the project, the newest first.
        """
        return self.encoder or (kinds[0].encoder if kinds else EmbedOptions().encoder)

    @field_validator("positive")
    @classmethod
    def _is_a_category(cls, text: str) -> str:
        try:
            found = category_of(text)
        except CytoError as error:
            raise ValueError(str(error)) from error
        if found in (UNSATISFACTORY, NEGATIVE):
            raise ValueError(f"expected a category more severe than {NEGATIVE}, got {found}")
        return found


def slide_recipe(named: str | None, settings: Sequence[str] = ()) -> SlideTrainConfig:
    """Return the recipe of a YAML file, or the default one, with single values changed.

    Parameters
    ----------
    named : str or None
        A YAML file; None, or the name of the built-in recipe, for the default.
    settings : sequence of str
        ``KEY=VALUE``, such as ``epochs=20`` or ``split.by=smear``.

    Raises
    ------
    CytoError
        When the file or a setting is wrong.
    """
    values: Any = {}
    if named is not None and named != SlideTrainConfig().name:
        if not Path(named).is_file():
            raise CytoError(f"Expected the recipe {SlideTrainConfig().name} or a YAML file, got {named!r}.")
        values = read_yaml(Path(named))
        if not isinstance(values, dict):
            raise CytoError(f"{named}: expected a recipe of named values, got something else.")
    for words in settings:
        key, equals, value = words.partition("=")
        if not (equals and key):
            raise CytoError(f"Expected KEY=VALUE behind --set, got {words!r}.")
        at = values
        *above, last = key.split(".")
        for name in above:
            at = at.setdefault(name, {})
            if not isinstance(at, dict):
                raise CytoError(f"Expected a setting of the recipe, got {key!r}.")
        at[last] = [part for part in value.split(",") if part] if last == "overrides" else value
    try:
        return SlideTrainConfig.model_validate(values)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise CytoError(f"The recipe's {where}: {fault['msg']}, got {fault['input']!r:.60}.") from error
