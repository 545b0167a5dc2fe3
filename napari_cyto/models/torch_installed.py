"""Whether networks can be run here, told without importing PyTorch, and what is said where they cannot."""

from __future__ import annotations

import importlib.util

from napari_cyto.errors import CytoError


def has_torch() -> bool:
    """Whether PyTorch is installed; it is not imported here."""
    return importlib.util.find_spec("torch") is not None


def torch_is_missing(what: str) -> str:
    """Return the sentence for where it is not; ``what`` cannot be done without, as in ``Training``."""
    return f'{what} needs PyTorch, which is not installed; install it with: pip install "napari-cyto[models]".'


def need_torch(what: str) -> None:
    """Refuse ``what`` where PyTorch is not installed.

    Raises
    ------
    CytoError
        Saying what to install.
    """
    if not has_torch():
        raise CytoError(torch_is_missing(what))
