"""Where files lie that belong to a user rather than to a project."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

DATA_VARIABLE = "NAPARI_CYTO_DATA"
CACHE_VARIABLE = "NAPARI_CYTO_CACHE"
LOG_BYTES = 4 * 2**20
"""A log this long begins anew."""


def user_data_dir(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Return the folder for what a user made and may not lose: ``NAPARI_CYTO_DATA``, else the platform's custom.

    Source
    ------
    XDG Base Directory Specification 0.8 (``XDG_DATA_HOME``, relative values are ignored); Apple File System
    Programming Guide (Application Support); Windows known folder LocalAppData.
    """
    if own := environ.get(DATA_VARIABLE):
        return Path(own).expanduser()
    if platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "napari-cyto"
    if platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "napari-cyto"
    xdg = Path(environ.get("XDG_DATA_HOME") or "")
    return (xdg if xdg.is_absolute() else Path.home() / ".local" / "share") / "napari-cyto"


def user_cache_dir(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Return the folder for what can be made again: ``NAPARI_CYTO_CACHE``, else the platform's custom.

    Source
    ------
    XDG Base Directory Specification 0.8 (``XDG_CACHE_HOME``, relative values are ignored); Apple File System
    Programming Guide (``~/Library/Caches``); Windows known folder LocalAppData.
    """
    if own := environ.get(CACHE_VARIABLE):
        return Path(own).expanduser()
    if platform == "darwin":
        return Path.home() / "Library" / "Caches" / "napari-cyto"
    if platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "napari-cyto" / "Cache"
    xdg = Path(environ.get("XDG_CACHE_HOME") or "")
    return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "napari-cyto"


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
