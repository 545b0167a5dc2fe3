"""Guards where a user's own files go: where they have been, by the platform's custom, and elsewhere only when asked."""

from __future__ import annotations

import sys
from pathlib import Path

import platformdirs
import pytest

from napari_cyto.files import user_folders
from napari_cyto.files.user_folders import user_cache_dir, user_data_dir

VARIABLES = ("NAPARI_CYTO_DATA", "NAPARI_CYTO_CACHE", "XDG_DATA_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder in which there is nothing yet."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


def test_what_was_requested_is_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_CYTO_DATA", "~/there")
    monkeypatch.setenv("NAPARI_CYTO_CACHE", str(home / "cache"))
    assert (user_data_dir(), user_cache_dir()) == (home / "there", home / "cache")


@pytest.mark.skipif(sys.platform != "linux", reason="XDG is Linux's custom")
def test_on_linux_it_is_where_it_was_in_the_versions_before(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (user_data_dir(), user_cache_dir()) == (home / ".local/share/napari-cyto", home / ".cache/napari-cyto")
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    assert (user_data_dir(), user_cache_dir()) == (home / "data/napari-cyto", home / "cache/napari-cyto")


@pytest.mark.parametrize(
    ("platform", "data", "cache"),
    [
        ("darwin", "Library/Application Support/napari-cyto", "Library/Caches/napari-cyto"),
        ("win32", "AppData/napari-cyto", "AppData/napari-cyto/Cache"),
    ],
)
def test_what_earlier_versions_put_elsewhere_is_found(
    home: Path, monkeypatch: pytest.MonkeyPatch, platform: str, data: str, cache: str
) -> None:
    monkeypatch.setattr(user_folders.sys, "platform", platform)
    monkeypatch.setenv("LOCALAPPDATA", str(home / "AppData"))
    monkeypatch.setattr(platformdirs, "user_data_path", lambda *_, **__: home / "new" / "data")
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: home / "new" / "cache")
    assert (user_data_dir(), user_cache_dir()) == (home / "new/data", home / "new/cache")
    (home / data).mkdir(parents=True)
    (home / cache).mkdir(parents=True)
    assert (user_data_dir(), user_cache_dir()) == (home / data, home / cache)
    (home / "new" / "data").mkdir(parents=True)
    assert user_data_dir() == home / "new/data"


@pytest.mark.parametrize(
    ("kind", "data", "cache"),
    [
        ("macos.MacOS", "Library/Application Support/napari-cyto", "Library/Caches/napari-cyto"),
        ("unix.Unix", ".local/share/napari-cyto", ".cache/napari-cyto"),
    ],
)
def test_other_platforms_have_the_folders_of_the_versions_before(home: Path, kind: str, data: str, cache: str) -> None:
    module, name = kind.split(".")
    dirs = getattr(pytest.importorskip(f"platformdirs.{module}"), name)("napari-cyto", appauthor=False)
    assert (Path(dirs.user_data_dir), Path(dirs.user_cache_dir)) == (home / data, home / cache)
