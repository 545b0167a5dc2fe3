"""The annotations of one source, in memory while they are few, in a file that is gone with them when they are many."""

from __future__ import annotations

import marshal
import tempfile
import weakref
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import IO

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.annotation_rows import Row, annotation_of, row_of
from napari_cyto.errors import CytoError
from napari_cyto.jobs.progress import progressed

ROWS_AT_ONCE = 1_000
MOST_IN_MEMORY = 20_000
_LENGTH_BYTES = 8


class AnnotationSpool(Collection[Annotation]):
    """Takes annotations one after the other and gives them back in the same order, as often as wanted.

    Parameters
    ----------
    most_in_memory : int
        From how many on they go into a file.
    """

    def __init__(self, most_in_memory: int = MOST_IN_MEMORY) -> None:
        self._most_in_memory = most_in_memory
        self._few: list[Annotation] = []
        self._rows: list[Row] = []
        self._file: IO[bytes] | None = None
        self._length = 0
        self.class_ids: dict[str, None] = {}
        """The classes that occur, in the order of their first occurrence; regions have none."""

    def append(self, annotation: Annotation) -> None:
        """Take one more.

        Raises
        ------
        CytoError
            When there is no room for its file.
        """
        self._length += 1
        if annotation.class_id is not None:
            self.class_ids[annotation.class_id] = None
        if self._file is not None:
            self._rows.append(row_of(annotation))
            if len(self._rows) == ROWS_AT_ONCE:
                self._write()
            return
        self._few.append(annotation)
        if not self._length % ROWS_AT_ONCE:
            progressed(0, 0, "")
        if self._length > self._most_in_memory:
            self._file = tempfile.TemporaryFile(prefix="napari-cyto-")  # noqa: SIM115  lives as long as this does
            weakref.finalize(self, self._file.close)
            few, self._few = self._few, []
            for one in few:
                self._rows.append(row_of(one))
                if len(self._rows) == ROWS_AT_ONCE:
                    self._write()

    def extend(self, annotations: Iterable[Annotation]) -> None:
        """Take several more."""
        for annotation in annotations:
            self.append(annotation)

    def rows(self) -> Iterator[list[Row]]:
        """Yield all as rows, some at once; nothing may be taken meanwhile."""
        few = iter(self._few)
        while batch := list(islice(few, ROWS_AT_ONCE)):
            yield list(map(row_of, batch))
        if self._file is not None:
            at, end = 0, self._file.seek(0, 2)
            while at < end:
                self._file.seek(at)
                length = int.from_bytes(self._file.read(_LENGTH_BYTES), "little")
                yield marshal.loads(self._file.read(length))
                at += _LENGTH_BYTES + length
        if self._rows:
            yield list(self._rows)

    def settled(self) -> Collection[Annotation]:
        """Return a tuple of them while they are few, else this itself."""
        return tuple(self._few) if self._file is None else self

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Annotation]:
        if self._file is None:
            return iter(self._few)
        return (annotation_of(row) for batch in self.rows() for row in batch)

    def __contains__(self, value: object) -> bool:
        return any(each == value for each in self)

    def _write(self) -> None:
        assert self._file is not None
        content = marshal.dumps(self._rows)
        self._rows = []
        progressed(0, 0, "")
        try:
            self._file.seek(0, 2)
            self._file.write(len(content).to_bytes(_LENGTH_BYTES, "little") + content)
        except OSError as error:
            raise CytoError(
                f"There is no space in {tempfile.gettempdir()} for the annotations that were read "
                f"({error.strerror or error}); free some space and try again."
            ) from error


def spooled(annotations: Iterable[Annotation]) -> Collection[Annotation]:
    """Return annotations as a tuple while they are few, else kept in a file."""
    spool = AnnotationSpool()
    spool.extend(annotations)
    return spool.settled()


def rows_of(annotations: Iterable[Annotation]) -> Iterator[list[Row]]:
    """Yield annotations as rows, some at once."""
    if isinstance(annotations, AnnotationSpool):
        yield from annotations.rows()
        return
    waiting = iter(annotations)
    while batch := list(islice(waiting, ROWS_AT_ONCE)):
        yield list(map(row_of, batch))


def class_ids_of(annotations: Iterable[Annotation]) -> Iterable[str]:
    """Return the classes of annotations, in the order of their first occurrence; regions have none."""
    if isinstance(annotations, AnnotationSpool):
        return annotations.class_ids
    return dict.fromkeys(a.class_id for a in annotations if a.class_id is not None)
