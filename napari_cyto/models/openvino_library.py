"""OpenVINO where it is installed, without what it would tell its maker."""

from __future__ import annotations

import importlib.util
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from napari_cyto.errors import CytoError

_TELEMETRY = "openvino_telemetry"

ON_ANY_CORE = {"ENABLE_CPU_PINNING": False}
"""Each process would bind its threads to the first cores: two workers would share one, and the others lie idle."""


def openvino_version() -> str | None:
    """Return the version that is installed, None where none is; it is not imported here."""
    if importlib.util.find_spec("openvino") is None:
        return None
    try:
        return version("openvino")
    except PackageNotFoundError:
        return None


def openvino_library() -> Any:
    """Return the module ``openvino``.

    On import it reports to its maker that it was imported, and from where, unless its telemetry package is absent;
    a program that reads slides of patients has nothing to report, so the package is absent for it.

    Raises
    ------
    CytoError
        When it is not installed, or does not start here.
    """
    if _TELEMETRY not in sys.modules:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        import openvino
    except (ImportError, OSError, RuntimeError) as error:
        raise CytoError(
            'OpenVINO is not available here; install it with pip install "napari-cyto[openvino]", or use --runtime '
            f"torch ({str(error)[:120]})."
        ) from error
    return openvino
