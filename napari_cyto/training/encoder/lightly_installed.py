"""Whether lightly is there, which holds the parts of iBOT."""

from __future__ import annotations

from importlib.util import find_spec

from napari_cyto.errors import CytoError


def need_lightly() -> None:
    """Refuse to train an encoder where lightly is not installed.

    Raises
    ------
    CytoError
        Saying what to install.
    """
    if find_spec("lightly") is None:
        raise CytoError(
            "Expected the package lightly, which has the losses that an encoder learns by, got none; `pip install "
            "napari-cyto[pretraining]` and start again."
        )
