"""The tables of a project database, the same for SQLite and for a team's PostgreSQL.

An annotation's states are rows of ``version`` that are never changed or deleted; ``annotation`` says which of them
holds now, and ``change`` says which one followed which in each step of ``history``. So an undo writes no
annotation again, a bulk import stores each cell once, and no history is ever lost.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION = 2
"""2: annotations may be outlines of nuclei and cells, which programs of version 1 would take for damage."""
READABLE_VERSIONS = (1, SCHEMA_VERSION)
"""Versions with the same tables, which can be read as they are."""
WHOLE_PROJECT = 0
REGION = ""

# In SQLite only a column called INTEGER is the row's own number, which costs nothing to look up.
_Number = BigInteger().with_variant(Integer(), "sqlite")


def _key() -> Column[int]:
    return Column("pk", _Number, primary_key=True, autoincrement=False)


metadata = MetaData()

project = Table(
    "project",
    metadata,
    _key(),
    Column("schema_version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("scheme", Text, nullable=False),
    # Grows with every committed write: how one window learns that another one wrote.
    Column("revision", _Number, nullable=False),
    Column("created_us", _Number, nullable=False),
)

setting = Table("setting", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

slide = Table(
    "slide",
    metadata,
    _key(),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    # Relative to the project's folder where it lies under or beside it, so that both can move together.
    Column("path", Text, nullable=False),
    Column("path_absolute", Text, nullable=False),
    Column("height", Integer),
    Column("width", Integer),
    Column("mpp", Double),
    Column("mpp_source", Text, nullable=False),
    Column("smear", Text, nullable=False),
    Column("patient", Text, nullable=False),
    Column("stem", Text, nullable=False),
    Column("offset_y", Integer),
    Column("offset_x", Integer),
    Column("side", Text, nullable=False),
    Column("fingerprint", Text, nullable=False, index=True),
    Column("progress", Text, nullable=False),
)

version = Table(
    "version",
    metadata,
    _key(),
    # Repeated here, since what a view shows is read from this table alone.
    Column("annotation_id", Text, nullable=False),
    Column("slide_pk", ForeignKey("slide.pk"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("y0", Double, nullable=False),
    Column("x0", Double, nullable=False),
    Column("y1", Double, nullable=False),
    Column("x1", Double, nullable=False),
    # Outlines only: little-endian float64 pairs (y, x), see `domain.annotation_rows`.
    Column("vertices", LargeBinary),
    # REGION for a polygon without a class: an empty text is no class id, and unlike NULL it can be compared.
    Column("class_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("scores", Text, nullable=False),
    Column("created_us", _Number, nullable=False),
    Column("note", Text, nullable=False),
)

annotation = Table(
    "annotation",
    metadata,
    # Its place in the order of creation, for life: it stays when the annotation is deleted.
    _key(),
    Column("id", Text, nullable=False, unique=True),
    # The state that holds; it and the copies of its most asked columns are NULL while the annotation is deleted.
    Column("version_pk", ForeignKey("version.pk")),
    Column("slide_pk", _Number),
    Column("class_id", Text),
    Column("status", Text),
    Index("annotation_in_order", "slide_pk", "pk"),
    Index("annotation_by_class", "slide_pk", "class_id", "status", "pk"),
)

history = Table(
    "history",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("label", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("at_us", _Number, nullable=False),
    Column("kind", Text, nullable=False),
    # For an undo or redo: the edit that it took back or did again.
    Column("target_seq", _Number),
    # For an edit: done, undone, or forgotten (undone, and then a new edit was made).
    Column("state", Text, nullable=False),
    Column("amount", Integer, nullable=False),
    Column("slide_pks", Text, nullable=False),
    Column("place_slide_pk", _Number, nullable=False),
    Column("place_y", Double, nullable=False),
    Column("place_x", Double, nullable=False),
    Index("history_of_author", "author", "state", "seq"),
)

change = Table(
    "change",
    metadata,
    Column("seq", ForeignKey("history.seq"), primary_key=True),
    Column("annotation_pk", ForeignKey("annotation.pk"), primary_key=True),
    Column("before_pk", ForeignKey("version.pk")),
    Column("after_pk", ForeignKey("version.pk")),
    Index("change_of_annotation", "annotation_pk", "seq"),
    sqlite_with_rowid=False,
)

# How many annotations there are; slide WHOLE_PROJECT holds the sums. Kept up to date by every write.
tally = Table(
    "tally",
    metadata,
    Column("slide_pk", _Number, nullable=False),
    Column("class_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("n", Integer, nullable=False),
    UniqueConstraint("slide_pk", "class_id", "status"),
)

# The bounding boxes of the versions that hold, for the question what lies in a view. Not part of
# ``metadata``: SQLite makes it a virtual R*Tree table, others a plain table. ``s0`` is the slide's number times
# SLIDE_SPACING, which keeps the slides further apart than any two places on one slide; ``s1`` lies a bit beyond,
# since an R*Tree weighs its choices by volume, and without extent in one direction every volume would be 0.
SLIDE_SPACING = float(2**20)
SLIDE_EXTENT = float(2**19)
box_metadata = MetaData()
box = Table(
    "box",
    box_metadata,
    _key(),
    Column("s0", Double, nullable=False),
    Column("s1", Double, nullable=False),
    Column("y0", Double, nullable=False),
    Column("y1", Double, nullable=False),
    Column("x0", Double, nullable=False),
    Column("x1", Double, nullable=False),
    Index("box_by_y", "s0", "y0", "y1"),
    Index("box_by_x", "s0", "x0", "x1"),
)
