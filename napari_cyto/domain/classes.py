"""Class schemes and the named, versioned maps between them: data, not code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from napari_cyto.domain.quantities import BOX_UM
from napari_cyto.errors import SchemeError

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class CellClass:
    """One class of a scheme.

    Parameters
    ----------
    id : str
        What label files and the database call it, e.g. ``HSIL``.
    name : str
        What people read, e.g. ``High-grade squamous intraepithelial lesion (HSIL)``.
    colour : str
        ``#rrggbb``; presets are safe for the colour-blind.
    key : str
        The key that chooses it, ``1`` to ``9`` or empty.
    severity : int or None
        Its place in the order of severity, 0 for normal; None for what has no grade (debris, mixed).
    parent : str or None
        The class that stands for it in a coarser view of the scheme.
    box_um : float
        Side of a one-click box, µm.
    """

    id: str
    name: str
    colour: str
    key: str = ""
    severity: int | None = None
    parent: str | None = None
    box_um: float = 40.0

    @property
    def label(self) -> str:
        """What a button calls it: an abbreviation such as HSIL as it is, else the first words of its name.

        An id in small letters is what label files need (``bothcells``), not what anybody says.
        """
        if self.id != self.id.lower():
            return self.id
        return re.split(r" / |: | \(", self.name, maxsplit=1)[0] or self.id

    def __post_init__(self) -> None:
        if not self.id or not self.id.isprintable() or self.id != self.id.strip():
            raise SchemeError(
                f"Expected a class id of printable characters without leading or trailing blanks, got {self.id!r}."
            )
        if not _COLOUR.fullmatch(self.colour):
            raise SchemeError(f"Expected a colour like #1a2b3c for class {self.id}, got {self.colour!r}.")
        if self.key and self.key not in "123456789":
            raise SchemeError(f"Expected a key from 1 to 9, or none, for class {self.id}, got {self.key!r}.")
        if not BOX_UM.holds(self.box_um):
            raise SchemeError(f"Expected a box from 0.1 to 10000 µm wide for class {self.id}, got {self.box_um}.")

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour as three numbers 0 to 255."""
        return (int(self.colour[1:3], 16), int(self.colour[3:5], 16), int(self.colour[5:7], 16))


@dataclass(frozen=True, slots=True)
class ClassScheme:
    """A named, versioned, ordered list of classes."""

    name: str
    version: int
    classes: tuple[CellClass, ...]

    def __post_init__(self) -> None:
        if not self.classes:
            raise SchemeError(f"Expected at least one class in the class scheme {self.name!r}, got none.")
        _refuse_doubles(f"scheme {self.name!r}", "class id", [c.id for c in self.classes])
        _refuse_doubles(f"scheme {self.name!r}", "key", [c.key for c in self.classes if c.key])
        for cell_class in self.classes:
            if cell_class.parent is not None and cell_class.parent not in self.ids:
                raise SchemeError(
                    f"In scheme {self.name!r} class {cell_class.id} has the parent {cell_class.parent!r}, "
                    "which is not one of its classes."
                )

    @property
    def ids(self) -> tuple[str, ...]:
        """All class ids, in order."""
        return tuple(c.id for c in self.classes)

    def __contains__(self, class_id: object) -> bool:
        return class_id in self.ids

    def __getitem__(self, class_id: str) -> CellClass:
        for cell_class in self.classes:
            if cell_class.id == class_id:
                return cell_class
        raise SchemeError(
            f"The class {class_id!r} is not in the scheme {self.name!r}, which has {', '.join(self.ids)}."
        )

    def same_but_for_names(self, other: ClassScheme) -> bool:
        """Whether both have the same classes, however these are called: projects keep the names they began with."""
        return replace(self, classes=tuple(replace(c, name="") for c in self.classes)) == replace(
            other, classes=tuple(replace(c, name="") for c in other.classes)
        )

    def by_key(self, key: str) -> CellClass | None:
        """Return the class that ``key`` chooses, if one does."""
        return next((c for c in self.classes if key and c.key == key), None)

    def coarse(self) -> SchemeMap:
        """Return the map that takes each class to its parent, the coarser view of this scheme."""
        pairs = tuple((c.id, c.parent or c.id) for c in self.classes)
        return SchemeMap(f"{self.name} to its coarse view", self.version, self.name, f"{self.name}-coarse", pairs)


@dataclass(frozen=True, slots=True)
class SchemeMap:
    """A named, versioned map from the classes of one scheme to those of another."""

    name: str
    version: int
    source: str
    target: str
    pairs: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        _refuse_doubles(f"map {self.name!r}", "class id", [source for source, _ in self.pairs])

    def unmapped(self, class_ids: Iterable[str]) -> tuple[str, ...]:
        """Return those of ``class_ids`` that this map has no answer for, sorted."""
        known = dict(self.pairs)
        return tuple(sorted({c for c in class_ids if c not in known}))

    def apply(self, class_id: str) -> str:
        """Return the class that ``class_id`` becomes.

        Raises
        ------
        SchemeError
            When the map does not know the class; it is never dropped or guessed.
        """
        for source, target in self.pairs:
            if source == class_id:
                return target
        raise SchemeError(
            f"The class {class_id!r} has no counterpart in {self.target!r} (map {self.name!r}, "
            f"version {self.version}); choose another map or relabel those cells."
        )


def identity(scheme: ClassScheme) -> SchemeMap:
    """Return the map of a scheme to itself."""
    return SchemeMap(
        f"{scheme.name} to {scheme.name}", scheme.version, scheme.name, scheme.name, tuple((i, i) for i in scheme.ids)
    )


def scheme_to_dict(scheme: ClassScheme) -> dict[str, Any]:
    """Return a scheme as plain JSON-able values."""
    return {
        "name": scheme.name,
        "version": scheme.version,
        "classes": [{f: getattr(c, f) for f in CellClass.__slots__} for c in scheme.classes],
    }


def scheme_from_dict(data: object) -> ClassScheme:
    """Return the scheme that plain values describe.

    Raises
    ------
    SchemeError
        When a field is missing, unknown or of the wrong kind; the sentence names it.
    """
    if not isinstance(data, Mapping):
        raise SchemeError(f"Expected a class scheme with name, version and classes, got {data!r:.80}.")
    _only(data, {"name", "version", "classes"}, "A class scheme")
    name, version, classes = data.get("name"), data.get("version", 1), data.get("classes")
    if not isinstance(name, str) or not name or not isinstance(version, int) or not isinstance(classes, list):
        raise SchemeError("A class scheme needs a name (text), a version (whole number) and classes (a list).")
    return ClassScheme(name, version, tuple(_class_from_dict(item) for item in classes))


def _class_from_dict(data: object) -> CellClass:
    if not isinstance(data, Mapping):
        raise SchemeError(f"Expected a class with id, name and colour, got {data!r:.80}.")
    _only(data, set(CellClass.__slots__), "A class")
    kinds: dict[str, tuple[type, ...]] = {
        "id": (str,),
        "name": (str,),
        "colour": (str,),
        "key": (str,),
        "severity": (int, type(None)),
        "parent": (str, type(None)),
        "box_um": (int, float),
    }
    for field, value in data.items():
        if not isinstance(value, kinds[field]) or isinstance(value, bool):
            raise SchemeError(f"The field {field!r} of a class cannot be {value!r:.80}.")
    if "id" not in data or "colour" not in data:
        raise SchemeError(f"Expected at least an id and a colour for each class, got {dict(data)!r:.80}.")
    return CellClass(**{"name": data["id"], **data})


def _only(data: Mapping[Any, Any], known: set[str], what: str) -> None:
    unknown = sorted(str(key) for key in data if key not in known)
    if unknown:
        fields = "field" if len(unknown) == 1 else "fields"
        raise SchemeError(
            f"{what} has the unknown {fields} {', '.join(unknown)}; known are {', '.join(sorted(known))}."
        )


def _refuse_doubles(where: str, what: str, values: list[str]) -> None:
    doubles = sorted({v for v in values if values.count(v) > 1})
    if doubles:
        raise SchemeError(f"In {where} the {what} {', '.join(doubles)} occurs more than once; each must be its own.")
