"""Machine code that numba made of a library's functions, kept from one process to the next.

UMAP and its search are compiled whenever a process imports them, as they ask for it of a few functions only. Kept in
the user's cache, for these very versions, all of it is compiled once: on two cores a map of 600 cells took 12 s in each
process, and takes 3 s in each but the first, which compiles for about a minute.
"""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from napari_cyto.errors import CytoError
from napari_cyto.files.user_folders import user_cache_dir

FOLDER = "compiled"
_OF = ("numba", "llvmlite", "numpy", "umap-learn", "pynndescent")
"""Of other versions nothing is used: a function's code holds that of functions of other files."""
_KINDS = ("*.nbi", "*.nbc")
_UNUSED_S = 90 * 86_400.0


@contextmanager
def code_kept() -> Iterator[None]:
    """Let numba keep the code of all functions that are declared within; does nothing where it cannot be written.

    A folder that the user names in ``NUMBA_CACHE_DIR`` is used as it is.
    """
    import numba
    from numba.core import config

    # numba types neither its settings nor what reads them.
    settings: Any = config
    # Else numba itself reads what was changed since its import at its first compilation, halfway through a library.
    settings.reload_config()
    folder = _folder()
    if settings.DISABLE_JIT or not _is_usable(folder):
        yield
        return
    before = numba.njit, numba.jit, settings.CACHE_DIR
    numba.njit, numba.jit, settings.CACHE_DIR = _keeping(numba.njit), _keeping(numba.jit), str(folder)
    try:
        yield
    finally:
        numba.njit, numba.jit, settings.CACHE_DIR = before


@contextmanager
def damage_removed() -> Iterator[None]:
    """Remove what was kept when a file of it turns out damaged, so that the next process compiles it anew.

    numba writes its files under other names first, yet after a power cut one can be short or empty.

    Raises
    ------
    CytoError
        Saying so.
    """
    try:
        yield
    except (EOFError, pickle.UnpicklingError) as error:
        folder = _folder()
        for place in (each for kind in _KINDS for each in folder.rglob(kind)):
            place.unlink(missing_ok=True)
        raise CytoError(
            f"A file of UMAP's compiled code in {folder} was damaged, so these files were removed; make the map again: "
            "it is compiled anew, which takes a minute or two."
        ) from error


def _folder() -> Path:
    return Path(os.environ.get("NUMBA_CACHE_DIR") or user_cache_dir() / FOLDER / _versions())


def _keeping(declare: Callable[..., Any]) -> Callable[..., Any]:
    """Return numba's decorator with its option ``cache`` on unless said otherwise."""

    def declared(*args: Any, **options: Any) -> Any:
        return declare(*args, **({"cache": True} | options))

    return declared


def _versions() -> str:
    found = [f"{sys.version_info.major}.{sys.version_info.minor}"]
    for name in _OF:
        with suppress(PackageNotFoundError):
            found.append(version(name))
    return "-".join(found)


def _is_usable(folder: Path) -> bool:
    """Whether files can be written there; of other versions beside it, what was not used for long is removed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        if folder.parent.name == FOLDER:
            for other in folder.parent.iterdir():
                if time.time() - other.stat().st_mtime > _UNUSED_S:
                    shutil.rmtree(other, ignore_errors=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
