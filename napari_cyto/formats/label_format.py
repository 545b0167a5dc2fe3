"""What every label format offers: read, write, and the list of what it cannot carry."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.quantities import BoxUm, UmPerPx
from napari_cyto.errors import FormatError
from napari_cyto.formats._registry import FORMATS
from napari_cyto.formats.format_guess import what_came

if TYPE_CHECKING:
    from napari_cyto.formats._sniffing_reader import Glimpse

TargetKind = Literal["file", "folder"]

ON_READING: dict[str, JsonValue] = {"used": "reading"}
"""``json_schema_extra`` of an option that says nothing about writing."""
ON_WRITING: dict[str, JsonValue] = {"used": "writing"}
"""``json_schema_extra`` of an option that says nothing about reading."""
SKIP_BAD = "Leave out rows that cannot be read and list them, instead of refusing the whole source."
"""What ``skip_bad`` does, here and in the options of an import."""


class FormatOptions(BaseModel):
    """Options that every format has; each adds its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    include_proposed: bool = Field(
        json_schema_extra=ON_WRITING,
        default=False,
        title="Predictions too",
        description="Also write predictions that nobody has accepted yet.",
    )
    skip_bad: bool = Field(
        json_schema_extra=ON_READING, default=False, title="Leave out bad rows", description=SKIP_BAD
    )

    @property
    def statuses(self) -> frozenset[Status]:
        """The statuses that are written."""
        return frozenset({Status.ACCEPTED, Status.UNREVIEWED} if self.include_proposed else {Status.ACCEPTED})


class StatusOptions(FormatOptions):
    """Options of the formats that can say what is accepted, proposed and rejected."""

    include_proposed: bool = Field(
        json_schema_extra=ON_WRITING,
        default=True,
        title="Predictions too",
        description="Also write predictions that nobody has accepted yet, with the status proposed.",
    )
    include_rejected: bool = Field(
        json_schema_extra=ON_WRITING,
        default=False,
        title="Rejected ones too",
        description="Also write rejected annotations, with the status rejected; programs that ignore the status "
        "will count them as cells.",
    )

    @property
    def statuses(self) -> frozenset[Status]:
        """The statuses that are written."""
        return super().statuses | (frozenset({Status.REJECTED}) if self.include_rejected else frozenset())


class BoxOptions(FormatOptions):
    """Options of the formats that know boxes only."""

    box_um: dict[str, BoxUm] = Field(
        json_schema_extra=ON_WRITING,
        default_factory=dict,
        title="Box sizes",
        description="Side in µm of the box that a point of this class becomes; other classes get the default.",
    )
    default_box_um: BoxUm = Field(
        json_schema_extra=ON_WRITING,
        default=40.0,
        title="Default box, µm",
        description="Side in µm of the box that a point becomes when its class has no size of its own.",
    )
    assumed_mpp: UmPerPx | None = Field(
        json_schema_extra=ON_WRITING,
        default=None,
        title="Assumed µm per px",
        description="For the boxes of points on slides with unknown µm per px; without it such slides are refused.",
    )


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What is special about a format, declared here so that nobody has to ask for its name.

    Parameters
    ----------
    scheme : str
        The class scheme that its classes are of; empty for any classes.
    slices : bool
        Whether it is written as slices with their images, crops and overviews, each class one of ``scheme``, divided
        into a training and a test set; what it loses depends on where a cell lies.
    crops : bool
        Whether its folder may be a tree of images of single cells as well, a folder a class.
    brings_images : bool
        Whether its folder is a data set, the images of which come with its import.
    may_be_um : bool
        Whether places may be given in µm, which the reader's option ``mpp`` turns into px.
    results_of : str
        The format whose files say what its entries are of; empty where it stands for itself.
    """

    scheme: str = ""
    slices: bool = False
    crops: bool = False
    brings_images: bool = False
    may_be_um: bool = False
    results_of: str = ""


class LabelFormat(Protocol):
    """One label format: its names, and how it is read and written."""

    name: str
    title: str
    description: str
    target_kind: TargetKind
    suffix: str
    capabilities: Capabilities

    @property
    def options_type(self) -> type[FormatOptions]:
        """The model of this format's options, from which forms and the command line are made."""
        ...

    def sniff(self, source: Path | Glimpse) -> bool:
        """Whether a file or folder looks like this format, by its beginning or by what lies in it.

        Parameters
        ----------
        source : Path or Glimpse
            What is looked at; a ``Glimpse`` where several formats are asked, so that it is read once.
        """
        ...

    def read(self, source: Path, **options: Any) -> LabelSet:
        """Return what ``source`` (a file or folder) holds, whole or not at all.

        Raises
        ------
        FormatError
            Naming file, line where it makes sense, and reason.
        """
        ...

    def losses(self, labels: LabelSet, **options: Any) -> tuple[str, ...]:
        """Return what of ``labels`` this format would not carry, one sentence each, with counts."""
        ...

    def write(self, labels: LabelSet, target: Path, **options: Any) -> None:
        """Write ``labels`` so that ``target`` is complete or as it was.

        Raises
        ------
        FormatError
            When something cannot be written; the sentence says what to do.
        """
        ...


_Read = TypeVar("_Read", bound=Callable[..., LabelSet])


def names_what_came(read: _Read) -> _Read:
    """Return a format's ``read`` that says in its refusals which other format came, where that can be seen."""

    @wraps(read)
    def reading(self: LabelFormat, source: Path, **options: Any) -> LabelSet:
        try:
            return read(self, source, **options)
        except FormatError as error:
            other = what_came(Path(source), self.name)
            if not other:
                raise
            said = f"expected {self.title}, got {FORMATS[other].title}; import it as {other}."
            raise FormatError(f"{said} ({error.reason})", source, error.line) from error

    return cast(_Read, reading)


class ReadOnly:
    """Base of the formats that are read and never written."""

    def losses(self, labels: LabelSet, **options: Any) -> tuple[str, ...]:  # noqa: ARG002
        """Return that nothing of ``labels`` can be written."""
        return ("This format can only be imported.",)

    def write(self, labels: LabelSet, target: Path, **options: Any) -> None:  # noqa: ARG002
        """Refuse to write.

        Raises
        ------
        FormatError
            Always.
        """
        raise FormatError("this format can be imported but not exported; choose another one.", target)


def declared(model: type[BaseModel], name: str, default: Any = ...) -> Any:
    """Return a field as ``model`` declares it, for another model that has the same one; with a default of its own."""
    field = copy(model.model_fields[name])
    if default is not ...:
        field.default = default
    return field


def idle_options(kind: type[FormatOptions], doing: Literal["reading", "writing"]) -> frozenset[str]:
    """Return the fields of a format's options that make no difference to ``doing``; forms leave them out."""
    extras = {name: field.json_schema_extra for name, field in kind.model_fields.items()}
    other = ON_WRITING if doing == "reading" else ON_READING
    return frozenset(name for name, extra in extras.items() if extra == other)


Options = TypeVar("Options", bound=FormatOptions)


def checked_options(kind: type[Options], options: dict[str, Any]) -> Options:
    """Return the options as a checked value.

    Raises
    ------
    FormatError
        Naming the first option that is unknown or out of its range.
    """
    try:
        return kind(**options)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "options"
        known = ", ".join(kind.model_fields)
        raise FormatError(f"The option {where} is not right: {first['msg']}; options are {known}.") from error
