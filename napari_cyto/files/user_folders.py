"""Where files lie that belong to a user rather than to a project."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import platformdirs

DATA_VARIABLE = "NAPARI_CYTO_DATA"
CACHE_VARIABLE = "NAPARI_CYTO_CACHE"
_APP = "napari-cyto"
LOG_BYTES = 4 * 2**20
"""A log this long begins anew."""


def user_data_dir() -> Path:
    """Return the folder for what a user made and may not lose: ``NAPARI_CYTO_DATA``, else the platform's custom."""
    if own := os.environ.get(DATA_VARIABLE):
        return Path(own).expanduser()
    return _kept(platformdirs.user_data_path(_APP, appauthor=False), "Library/Application Support", "")


def user_cache_dir() -> Path:
    """Return the folder for what can be made again: ``NAPARI_CYTO_CACHE``, else the platform's custom."""
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own).expanduser()
    return _kept(platformdirs.user_cache_path(_APP, appauthor=False), "Library/Caches", "Cache")


def _kept(place: Path, mac: str, windows: str) -> Path:
    """Return a place, or where versions before this one kept the same if that is there and the place is not.

    They knew nothing of XDG variables on macOS, and on Windows took the variable for the known folder.
    """
    before, local = place, os.environ.get("LOCALAPPDATA")
    if sys.platform == "darwin":
        before = Path.home() / mac / _APP
    elif sys.platform == "win32" and local:
        before = Path(local) / _APP / windows
    return before if before.is_dir() and not place.is_dir() else place


def log_path(name: str) -> Path | None:
    """Return the file that takes what libraries say, begun anew where it is long; None where none can be.

    Parameters
    ----------
    name : str
        Of the file in ``logs`` in the user's cache folder, without its end.
    """
    path = user_cache_dir() / "logs" / f"{name}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.unlink()
    except OSError:
        return None
    return path if path.is_file() or not path.exists() else None
