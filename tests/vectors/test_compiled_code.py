"""Promise: what UMAP compiles is compiled once, and nothing of numba is left changed."""

from __future__ import annotations

import os
import sys
import textwrap
from importlib import import_module
from pathlib import Path

import pytest

from napari_cyto.errors import CytoError
from napari_cyto.files.user_folders import user_cache_dir
from napari_cyto.vectors._compiled_code import FOLDER, code_kept, damage_removed

numba = pytest.importorskip("numba")

LIBRARY = """
import numba

@numba.njit
def plain(value):
    return value + 1

@numba.njit(fastmath=True)
def with_options(value):
    return plain(value) * 2.0
"""


def test_functions_declared_within_are_kept_in_the_cache_and_numba_is_as_before(tmp_path, monkeypatch):
    (tmp_path / "made_library.py").write_text(textwrap.dedent(LIBRARY), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("NAPARI_CYTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    before = numba.njit, numba.jit, numba.config.CACHE_DIR
    long_unused = user_cache_dir() / FOLDER / "2.7-numba"
    long_unused.mkdir(parents=True)
    os.utime(long_unused, (0, 0))
    with code_kept():
        library = import_module("made_library")
    assert (numba.njit, numba.jit, numba.config.CACHE_DIR) == before
    assert library.with_options(1.0) == 4.0
    kept = list((user_cache_dir() / FOLDER).rglob("*.nbc"))
    assert {path.name.split("-")[0].split(".")[-1] for path in kept} == {"plain", "with_options"}
    assert not long_unused.exists()
    monkeypatch.delitem(sys.modules, "made_library")
    with code_kept():
        again = import_module("made_library")
    assert again.with_options(1.0) == 4.0
    assert sum(again.with_options.stats.cache_hits.values()) == 1, "the second process compiles nothing"
    damaged = next(path for path in kept if "with_options" in path.name)
    damaged.write_bytes(bytes(damaged.stat().st_size))
    monkeypatch.delitem(sys.modules, "made_library")
    with code_kept():
        third = import_module("made_library")
    with pytest.raises(CytoError, match=r"was damaged.*make the map again"), damage_removed():
        third.with_options(1.0)
    assert not list((user_cache_dir() / FOLDER).rglob("*.nb?"))
    assert third.with_options(1.0) == 4.0, "compiled anew"


def test_without_a_place_to_write_it_is_compiled_as_ever(tmp_path: Path, monkeypatch):
    (tmp_path / "cache").write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("NAPARI_CYTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    before = numba.njit
    with code_kept():
        assert numba.njit is before
