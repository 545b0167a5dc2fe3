"""Promise: a sentence of the system names what a person named, never the hidden name under which it comes to be."""

from __future__ import annotations

import errno

import pytest

from napari_cyto.errors import system_sentence


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("/a/.overview.png.part", "/a/overview.png"),
        ("/a/.smear.tif.1234.part", "/a/smear.tif"),
        ("/a/.smear.tif.0a1b2c3d.part", "/a/smear.tif"),
        ("/a/.out.cyto.partial-host-12-ab/project.sqlite", "/a/out.cyto"),
        ("/a/.out.previous-x1", "/a/out"),
        ("/a/part.csv", "/a/part.csv"),
        ("/a/.hidden/part", "/a/.hidden/part"),
    ],
)
def test_a_hidden_name_is_reported_as_what_was_requested(hidden: str, shown: str) -> None:
    assert system_sentence(OSError(errno.ENOSPC, "no space", hidden)).startswith(f"{shown}: the disk is full")
