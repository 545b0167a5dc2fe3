"""Where the files that ship with the product lie."""

from __future__ import annotations

from pathlib import Path


def resource_path(*parts: str) -> Path:
    """Return the path of a shipped file, in an installed wheel as in a checkout.

    Raises
    ------
    FileNotFoundError
        When it is not there: a broken installation, not a user's mistake.
    """
    package = Path(__file__).resolve().parents[1]
    for root in (package / "resources", package.parent / "resources"):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError(f"The shipped file {'/'.join(parts)} is missing; install napari-cyto again.")


def shipped_folder() -> Path | None:
    """Return the folder of the models that ship, or None where none do."""
    try:
        return resource_path("models")
    except FileNotFoundError:
        return None
