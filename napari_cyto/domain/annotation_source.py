"""Annotations that are read anew each time they are gone through, so that a million of them need no memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, repeat
from typing import TypeVar

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.annotation_rows import CLASS, NO_CLASS, STATUS, Row

Key = TypeVar("Key")

Kinds = Sequence[tuple[Annotation, int]]
"""One annotation of each kind, with how many there are that are like it for everything that a format can lose."""


class AnnotationSource(ABC, Collection[Annotation]):
    """Annotations of some slides, as of one moment; each way through them reads them again."""

    @abstractmethod
    def of_slide(self, slide_id: str) -> Iterator[Annotation]:
        """Yield those of one slide, in order of creation."""

    @abstractmethod
    def rows_of_slide(self, slide_id: str) -> Iterator[Row]:
        """Yield what `of_slide` does as rows, whose slide is the one asked for whatever stands in them."""

    @abstractmethod
    def class_ids(self) -> frozenset[str]:
        """Return the classes that occur."""

    @abstractmethod
    def kinds(self) -> Kinds:
        """Return one annotation for all that are alike in slide, class, status, shape and what is known of them."""

    def where(self, statuses: Collection[Status], regions: bool) -> AnnotationSource:
        """Return those of some statuses, with or without regions."""
        return _Kept(self, statuses, regions)

    def renamed(self, class_map: Mapping[str, str]) -> AnnotationSource:
        """Return them with their classes renamed; those that ``class_map`` does not name stay."""
        return _Renamed(self, class_map)

    def __contains__(self, value: object) -> bool:
        return any(each == value for each in self)


class _Kept(AnnotationSource):
    def __init__(self, source: AnnotationSource, statuses: Collection[Status], regions: bool) -> None:
        # A tuple is searched by identity first, a set by a hash that Python computes.
        self._source, self._statuses, self._regions = source, tuple(statuses), regions
        self._words = frozenset(status.value for status in statuses)

    def _keep(self, a: Annotation) -> bool:
        return a.status in self._statuses and (self._regions or a.class_id is not None)

    def __iter__(self) -> Iterator[Annotation]:
        return filter(self._keep, self._source)

    def __len__(self) -> int:
        return sum(n for _, n in self.kinds())

    def of_slide(self, slide_id: str) -> Iterator[Annotation]:
        return filter(self._keep, self._source.of_slide(slide_id))

    def rows_of_slide(self, slide_id: str) -> Iterator[Row]:
        words, regions = self._words, self._regions
        for row in self._source.rows_of_slide(slide_id):
            if row[STATUS] in words and (regions or row[CLASS] != NO_CLASS):
                yield row

    def class_ids(self) -> frozenset[str]:
        return self._source.class_ids()

    def kinds(self) -> Kinds:
        return [(a, n) for a, n in self._source.kinds() if self._keep(a)]


class _Renamed(AnnotationSource):
    def __init__(self, source: AnnotationSource, class_map: Mapping[str, str]) -> None:
        self._source, self._map = source, class_map

    def __iter__(self) -> Iterator[Annotation]:
        return map(self._change, self._source)

    def __len__(self) -> int:
        return len(self._source)

    def of_slide(self, slide_id: str) -> Iterator[Annotation]:
        return map(self._change, self._source.of_slide(slide_id))

    def rows_of_slide(self, slide_id: str) -> Iterator[Row]:
        for row in self._source.rows_of_slide(slide_id):
            name = None if row[CLASS] == NO_CLASS else self._map.get(row[CLASS])
            yield row if name is None else (*row[:CLASS], name, *row[CLASS + 1 :])

    def class_ids(self) -> frozenset[str]:
        return frozenset(self._map.get(name, name) for name in self._source.class_ids())

    def kinds(self) -> Kinds:
        return [(self._change(a), n) for a, n in self._source.kinds()]

    def _change(self, a: Annotation) -> Annotation:
        name = None if a.class_id is None else self._map.get(a.class_id)
        return a if name is None else replace(a, class_id=name)


class Alike(Collection[Annotation]):
    """Many annotations, each given by one that is like it: enough to count what a format loses."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = tuple(kinds)

    def where(self, statuses: Collection[Status], regions: bool) -> Alike:
        """Return those of some statuses, with or without regions."""
        kept = [(a, n) for a, n in self._kinds if a.status in statuses and (regions or a.class_id is not None)]
        return Alike(kept)

    def tally(self, key: Callable[[Annotation], Key]) -> Counter[Key]:
        """Count them by what ``key`` says of each kind."""
        counts: Counter[Key] = Counter()
        for a, n in self._kinds:
            counts[key(a)] += n
        return counts

    def __iter__(self) -> Iterator[Annotation]:
        return chain.from_iterable(repeat(a, n) for a, n in self._kinds)

    def __len__(self) -> int:
        return sum(n for _, n in self._kinds)

    def __contains__(self, value: object) -> bool:
        return any(each == value for each, _ in self._kinds)


def tally(annotations: Iterable[Annotation], key: Callable[[Annotation], Key]) -> Counter[Key]:
    """Count annotations by what ``key`` says of each; of many that are alike, one is looked at."""
    return annotations.tally(key) if isinstance(annotations, Alike) else Counter(map(key, annotations))
