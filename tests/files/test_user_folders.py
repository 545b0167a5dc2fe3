"""Guards where a user's own files go: by the platform's custom, and elsewhere only when asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_cyto.files.user_folders import user_data_dir


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({"NAPARI_CYTO_DATA": "/there"}, "linux", Path("/there")),
        ({"XDG_DATA_HOME": "/data"}, "linux", Path("/data/napari-cyto")),
        ({"XDG_DATA_HOME": "relative"}, "linux", Path.home() / ".local" / "share" / "napari-cyto"),
        ({}, "linux", Path.home() / ".local" / "share" / "napari-cyto"),
        ({}, "darwin", Path.home() / "Library" / "Application Support" / "napari-cyto"),
        ({"LOCALAPPDATA": "/appdata"}, "win32", Path("/appdata/napari-cyto")),
        ({}, "win32", Path.home() / "AppData" / "Local" / "napari-cyto"),
    ],
)
def test_it_follows_the_platforms_custom(environ: dict[str, str], platform: str, expected: Path) -> None:
    assert user_data_dir(environ, platform) == expected
