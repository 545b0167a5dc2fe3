"""What every test may use: the real slides where they are, a cache of its own, how hard hypothesis tries."""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
HAS_WINDOW = all(importlib.util.find_spec(name) is not None for name in ("napari", "qtpy", "pytestqt"))

HAS_CLIENTS = importlib.util.find_spec("datumaro") is not None
"""Whether the programs are there that read exports; they have an environment of their own."""

HAS_TORCH = importlib.util.find_spec("torch") is not None

# Until all tests are collected hardly anything is garbage, and looking for it takes a third of that time.
gc.disable()

# Test files are no package (importlib mode), and find by name what they share.
SUPPORT = REPOSITORY / "tests" / "support"
sys.path.insert(0, str(SUPPORT))
pytest_plugins = ["evaluation_fixtures", "network_fixtures", "session_fixtures"]

# An environment without Qt and napari passes all tests but those of the window, which it cannot even import.
collect_ignore = ["support", *([] if HAS_WINDOW else ["widgets"]), *([] if HAS_CLIENTS else ["clients"])]
_NETWORKS = "pytestmark = pytest.mark.networks"

# No deadline: two shared cores make any timed assertion a coin toss.
_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("default", max_examples=100, **_COMMON)
settings.register_profile("ci", max_examples=100, derandomize=True, print_blob=True, **_COMMON)
settings.register_profile("nightly", max_examples=10_000, print_blob=True, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default"))


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a cache folder of its own, so that no test sees what another run or the user has cached."""
    config._cyto_cache = tempfile.mkdtemp(prefix="napari-cyto-tests-")
    os.environ["NAPARI_CYTO_CACHE"] = str(Path(config._cyto_cache) / "cache")
    os.environ["NAPARI_CYTO_DATA"] = str(Path(config._cyto_cache) / "data")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind."""
    shutil.rmtree(getattr(config, "_cyto_cache", ""), ignore_errors=True)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out, where torch is not installed, the files that need it as a whole: they cannot even be imported."""
    if HAS_TORCH or collection_path.suffix != ".py":
        return None
    return _NETWORKS in collection_path.read_text(encoding="utf-8") or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the window's tests and the fuzzed ones, and deselect what this machine or this run is not for."""
    gui_folder = REPOSITORY / "tests" / "widgets"
    fuzzed_folders = {REPOSITORY / "tests" / name for name in ("properties", "store")}
    nightly = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
    kept, dropped = [], []
    for item in items:
        if gui_folder in item.path.parents:
            item.add_marker(pytest.mark.gui)
        if not fuzzed_folders.isdisjoint(item.path.parents):
            item.add_marker(pytest.mark.fuzzed)
        absent = item.get_closest_marker("shared") is not None and not SHARED_DATA.is_dir()
        too_long = item.get_closest_marker("nightly") is not None and not nightly
        no_window = item.get_closest_marker("gui") is not None and not HAS_WINDOW
        no_torch = item.get_closest_marker("networks") is not None and not HAS_TORCH
        (dropped if absent or too_long or no_window or no_torch else kept).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Have the collector look for garbage again, but not among the modules and tests: they stay to the end."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real slides and labels; tests that ask for it carry ``@pytest.mark.shared``."""
    return SHARED_DATA
