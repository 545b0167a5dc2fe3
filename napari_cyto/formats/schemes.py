"""Class schemes of a user's own, from and to YAML or JSON files."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from napari_cyto.domain.classes import ClassScheme, scheme_from_dict, scheme_to_dict
from napari_cyto.errors import FormatError, SchemeError
from napari_cyto.files.atomic import write_text
from napari_cyto.formats.text import read_json, read_yaml

SCHEME_SUFFIXES = (".yaml", ".yml", ".json")


def load_scheme(path: str | Path) -> ClassScheme:
    """Return the class scheme that a ``.yaml``, ``.yml`` or ``.json`` file describes.

    Raises
    ------
    FormatError
        When the file is not there or not of its format (file, line, reason).
    SchemeError
        When its content is no scheme; the sentence names file and field.
    """
    source = Path(path)
    data = read_json(source) if _is_json(source) else read_yaml(source)
    try:
        return scheme_from_dict(data)
    except SchemeError as error:
        raise SchemeError(f"{source}: {error}") from error
    except (ValueError, RecursionError, TypeError) as error:
        raise SchemeError(f"{source}: the file holds values that no class scheme has.") from error


def save_scheme(scheme: ClassScheme, path: str | Path) -> None:
    """Write a class scheme to a ``.yaml``, ``.yml`` or ``.json`` file, atomically.

    Raises
    ------
    FormatError
        When the name ends otherwise or the place cannot be written.
    """
    target = Path(path)
    data = scheme_to_dict(scheme)
    if _is_json(target):
        text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    else:
        text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    write_text(target, text)


def _is_json(path: Path) -> bool:
    if path.suffix.lower() not in SCHEME_SUFFIXES:
        raise FormatError(f"a class scheme is a file {', '.join(SCHEME_SUFFIXES)}, but this is none.", path)
    return path.suffix.lower() == ".json"
