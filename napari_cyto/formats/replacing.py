"""Which files an export may replace: those that an export wrote and nobody touched since.

A hash of each single file that an export writes is kept in the user's own data folder, by the file's place. A file
that is there and is not what an export left is never replaced unasked: it may be a person's text, another program's
labels, or what an import came from.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from napari_cyto.domain.places import user_data_dir
from napari_cyto.errors import FormatError

_RECORD = "exports.json"
_MOST = 2000
_PIECE_BYTES = 1 << 20

OVERWRITE_WORDS = "(--overwrite)"
"""Part of the refusal to replace a file that a person may allow, for windows that ask."""


def check_may_replace(target: Path, overwrite: bool = False) -> None:
    """Refuse to replace a file that no export left as it is.

    Parameters
    ----------
    target : Path
        The file to be. A folder, or nothing, is not refused here.
    overwrite : bool
        Whether a person allowed it.

    Raises
    ------
    FormatError
        Saying that something else is there.
    """
    if overwrite or not target.is_file():
        return
    known = _read().get(_key(target))
    if known is not None and known == _digest(target):
        return
    what = "was changed since it was exported" if known else "was not written by an export"
    raise FormatError(
        f"the file there {what}, so it is not replaced; choose a new name, or allow it {OVERWRITE_WORDS}.", target
    )


def remember_export(target: Path) -> None:
    """Keep what an export wrote, so that the next one to the same place may replace it."""
    if not target.is_file():
        return
    with suppress(OSError):  # a place that cannot be remembered is asked about next time
        _write({**_without(target), _key(target): _digest(target)})


def remember_import(source: Path) -> None:
    """Forget that a file was an export of ours: labels were read from it, and no export may replace it unasked."""
    if source.is_file() and _key(source) in _read():
        with suppress(OSError):
            _write(_without(source))


def _without(target: Path) -> dict[str, str]:
    return {key: value for key, value in _read().items() if key != _key(target)}


def _key(target: Path) -> str:
    return str(target.absolute().resolve())


def _digest(target: Path) -> str:
    digest = hashlib.sha256()
    try:
        with target.open("rb") as stream:
            while piece := stream.read(_PIECE_BYTES):
                digest.update(piece)
    except OSError as error:
        raise FormatError(f"the file there cannot be read ({error.strerror or error}).", target) from error
    return digest.hexdigest()


def _read() -> dict[str, str]:
    try:
        data = json.loads((user_data_dir() / _RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in data.items() if isinstance(v, str)} if isinstance(data, dict) else {}


def _write(record: dict[str, str]) -> None:
    folder = user_data_dir()
    folder.mkdir(parents=True, exist_ok=True)
    latest = dict(list(record.items())[-_MOST:])
    temporary = folder / f".{_RECORD}.partial"
    temporary.write_text(json.dumps(latest, indent=1) + "\n", encoding="utf-8")
    temporary.replace(folder / _RECORD)
