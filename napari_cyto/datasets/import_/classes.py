"""Which classes a project needs for what it is to take in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.annotation_source import AnnotationSource
from napari_cyto.domain.classes import CellClass, ClassScheme
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.presets import PRESETS, preset
from napari_cyto.errors import SchemeError
from napari_cyto.formats import get_format
from napari_cyto.formats.annotation_spool import class_ids_of, spooled
from napari_cyto.formats.colours import class_colours
from napari_cyto.formats.schemes import load_scheme

FOREIGN = "not in the project's scheme"
"""Part of the sentence about classes that a project lacks."""


def used_classes(labels: LabelSet) -> tuple[str, ...]:
    """Return the classes of the annotations, in the order of their first occurrence; regions have none."""
    return tuple(class_ids_of(labels.annotations))


def mapped(labels: LabelSet, class_map: Mapping[str, str] | None) -> LabelSet:
    """Return ``labels`` with each class renamed as ``class_map`` says; classes that it lacks stay."""
    if not class_map:
        return labels
    annotations: Collection[Annotation]
    if isinstance(labels.annotations, AnnotationSource):
        annotations, used = labels.annotations.renamed(class_map), tuple(sorted(labels.annotations.class_ids()))
    else:
        annotations, used = spooled(_renamed(labels.annotations, class_map)), used_classes(labels)
    classes = tuple(dict.fromkeys(class_map.get(c, c) for c in labels.classes))
    colours = {class_map.get(c, c): colour for c, colour in labels.colours}
    idle = sorted(set(class_map) - set(labels.classes) - set(used))
    remarks = labels.remarks
    if idle:
        has = ", ".join(dict.fromkeys((*labels.classes, *used)))
        remarks += (
            f"The class map names classes that the labels do not have: {', '.join(idle)}; they have {has or 'none'}.",
        )
    return replace(labels, annotations=annotations, classes=classes, colours=tuple(colours.items()), remarks=remarks)


def _renamed(annotations: Iterable[Annotation], class_map: Mapping[str, str]) -> Iterator[Annotation]:
    for a in annotations:
        yield replace(a, class_id=class_map.get(a.class_id, a.class_id)) if a.class_id is not None else a


def new_scheme(format_name: str, labels: LabelSet, scheme_name: str) -> ClassScheme:
    """Return the scheme of a project made for ``labels``.

    Parameters
    ----------
    format_name : str
        Where they come from; some formats have a scheme of their own.
    labels : LabelSet
        What is to be taken in.
    scheme_name : str
        A scheme that ships, or a YAML or JSON file; empty for the first that fits: the format's own, else a shipped
        one that has all classes, else one made of the classes.

    Raises
    ------
    CytoError
        When there is no such scheme.
    """
    if scheme_name:
        return preset(scheme_name) if scheme_name in PRESETS else load_scheme(Path(scheme_name))
    needed = set(labels.classes) | set(used_classes(labels))
    own = get_format(format_name).capabilities.scheme
    for name in ((own,) if own else ()) + PRESETS:
        if needed and needed <= set(preset(name).ids):
            return preset(name)
    names = list(dict.fromkeys((*labels.classes, *used_classes(labels))))
    return ClassScheme(format_name, 1, _classes(names, labels, ())) if names else preset("bethesda")


def scheme_for(scheme: ClassScheme, labels: LabelSet, add_classes: bool) -> ClassScheme:
    """Return ``scheme`` when it has every class that occurs in ``labels``, else one with them added, if wanted.

    Raises
    ------
    SchemeError
        Listing the classes that are missing, when they are not to be added.
    """
    missing = [c for c in used_classes(labels) if c not in scheme]
    if not missing:
        return scheme
    if not add_classes:
        raise SchemeError(
            f"The classes {', '.join(missing)} are {FOREIGN} {scheme.name!r} "
            f"({', '.join(scheme.ids)}); map them to its classes (--map OLD=NEW), or add them (--add-classes)."
        )
    return replace(scheme, classes=scheme.classes + _classes(missing, labels, [c.key for c in scheme.classes]))


def scheme_remarks(scheme: ClassScheme, labels: LabelSet) -> tuple[str, ...]:
    """Return what to say of the classes that labels bring: those of a scheme that was made of them have no severity.

    Parameters
    ----------
    scheme : ClassScheme
        Of the project that takes the labels in.
    labels : LabelSet
        What it takes in.
    """
    said = []
    if scheme.name not in PRESETS and all(c.severity is None for c in scheme.classes) and used_classes(labels):
        said.append(
            f"The project's classes are those of the labels ({', '.join(scheme.ids)}), without an order of severity; "
            "to import them as Bethesda classes, add --scheme bethesda and --map OLD=NEW."
        )
    alike: dict[str, list[str]] = {}
    for name in scheme.ids:
        # Not signs: Ki67+ and Ki67- are two classes.
        alike.setdefault(" ".join(name.casefold().replace("_", " ").split()), []).append(name)
    said += [
        f"The classes {' and '.join(names)} differ only in letter case or spaces; join them with a class map "
        f"({names[1]}={names[0]})."
        for names in alike.values()
        if len(names) > 1
    ]
    return tuple(said)


def _classes(names: Sequence[str], labels: LabelSet, taken_keys: Collection[str]) -> tuple[CellClass, ...]:
    keys = iter([key for key in "123456789" if key not in taken_keys])
    colours = class_colours(labels, names)
    return tuple(CellClass(name, name, colours[name], next(keys, "")) for name in names)
