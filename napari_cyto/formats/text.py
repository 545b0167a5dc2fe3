"""Reading text, numbers, JSON and YAML that strangers wrote: whatever comes, a FormatError is the worst of it."""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from napari_cyto.errors import FormatError
from napari_cyto.files.special_files import special_kind
from napari_cyto.formats.label_files import unpacked

MAX_BYTES = 1 << 30
"""Largest label file that is read: 1 GiB."""

_SAVE_AS_UTF8 = (
    " The text has another encoding; save it as UTF-8 (in Excel: CSV UTF-8; in an editor: Save as, encoding UTF-8)."
)

FARTHEST_PX = 1e9
"""Largest coordinate that is believed, px."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_YAML_BUGS = (ValueError, RecursionError, OverflowError, TypeError, AttributeError, LookupError)


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the content of a label file, unpacked where it is in gzip or alone in a zip archive.

    Raises
    ------
    FormatError
        When it is not there, not a file, too large or not readable.
    """
    try:
        if path.is_dir():
            raise FormatError("expected a file, but this is a folder.", path)
        if special := special_kind(path):
            raise FormatError(f"expected a file, but this is {special}.", path)
        size = path.stat().st_size
        if size > max_bytes:
            raise too_large(path, size, max_bytes)
        return unpacked(path.read_bytes(), path)
    except FileNotFoundError:
        raise FormatError("there is no such file.", path) from None
    except (OSError, ValueError) as error:
        raise FormatError(f"the file cannot be read ({getattr(error, 'strerror', None) or error}).", path) from error


def read_text(path: Path, max_bytes: int = MAX_BYTES) -> str:
    """Return the text of a label file: UTF-8, or what its byte order mark says.

    Raises
    ------
    FormatError
        When it is not there, too large, or not text; the sentence names the line.
    """
    content = read_bytes(path, max_bytes)
    encoding = encoding_of(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise not_text(encoding, content, error.start, path, line) from error
    if "\x00" in text:
        raise is_binary(content, path, text.count("\n", 0, text.index("\x00")) + 1)
    return text


def encoding_of(head: bytes) -> str:
    """Return the encoding that the mark at the beginning of a file names, else UTF-8."""
    return next((name for start_place, name in _MARKS if head.startswith(start_place)), "utf-8")


def too_large(path: Path, size: int, most: int) -> FormatError:
    """Return what is said of a file of ``size`` bytes where ``most`` are read."""
    return FormatError(f"the file has {size:,} bytes; label files up to {most:,} are read.", path)


def not_text(encoding: str, head: bytes, start: int, path: Path, line: int) -> FormatError:
    """Return what is said of a file whose byte ``start`` is none of its encoding; ``head`` is its beginning."""
    advice = _SAVE_AS_UTF8 if _is_other_text(head) else ""
    return FormatError(f"expected {encoding.upper()} text, but byte {start} is none.{advice}", path, line)


def is_binary(head: bytes, path: Path, line: int) -> FormatError:
    """Return what is said of a file with a zero in its text; ``head`` is its beginning."""
    if _is_unmarked_utf16(head):
        return FormatError(f"expected UTF-8 text, got UTF-16 without a byte order mark.{_SAVE_AS_UTF8}", path)
    return FormatError("expected text, got a binary file.", path, line)


def _is_other_text(content: bytes) -> bool:
    """Whether bytes that are no UTF-8 look like text in an older encoding: no control characters at their start."""
    head = content[:4096]
    return not any(byte < 32 and byte not in b"\t\r\n\x0c" for byte in head) or _is_unmarked_utf16(content)


def _is_unmarked_utf16(content: bytes) -> bool:
    head = content[:4096]
    return len(head) >= 8 and max(head[0::2].count(0), head[1::2].count(0)) > len(head) // 3


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; NaN and infinity, which QuPath writes for measurements, become None.

    Raises
    ------
    FormatError
        When it is not JSON or is nested too deeply; with the line where it is known.
    """
    return parse_json(read_text(path), path)


def parse_json(text: str, path: Path, line: int = 1) -> Any:
    """Return the value of a JSON text that begins in ``line`` of a file; see ``read_json``.

    Raises
    ------
    FormatError
        When it is not JSON or is nested too deeply; with the line where it is known.
    """
    with parsing(path):
        try:
            return json.loads(text, parse_constant=lambda _: None)
        except json.JSONDecodeError as error:
            raise no_json(error.msg, error.colno, path, line + error.lineno - 1) from error


def no_json(reason: str, column: int, path: Path, line: int) -> FormatError:
    """Return what is said of a text that is no JSON."""
    return FormatError(f"this is not JSON ({reason}, column {column}).", path, line)


@contextmanager
def parsing(path: Path) -> Iterator[None]:
    """Turn what Python raises on JSON that is no label file's into sentences.

    Raises
    ------
    FormatError
        When it is nested too deeply, or holds a number of thousands of digits.
    """
    try:
        yield
    except RecursionError:
        raise FormatError("the JSON is nested too deeply to be a label file.", path) from None
    except ValueError as error:
        raise FormatError(f"the JSON contains a number that no label file has ({str(error)[:80]}).", path) from error


class _PlainLoader(yaml.SafeLoader):
    """Safe YAML without aliases, which can blow a few lines up to gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            start_place = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not read here", start_place)
        return super().compose_node(parent, index)


def read_yaml(path: Path, max_bytes: int = 1 << 22) -> Any:
    """Return the content of a YAML file: plain values only, no tags, no aliases.

    Raises
    ------
    FormatError
        When it is not such YAML; with the line where it is known.
    """
    text = read_text(path, max_bytes)
    try:
        return yaml.load(text, Loader=_PlainLoader)
    except yaml.MarkedYAMLError as error:
        start_place = error.problem_mark or error.context_mark
        line = None if start_place is None else start_place.line + 1
        raise FormatError(f"this is not plain YAML ({error.problem or error.context}).", path, line) from error
    except yaml.YAMLError as error:
        raise FormatError(f"this is not YAML ({str(error)[:120]}).", path) from error
    except _YAML_BUGS as error:  # what PyYAML's constructors raise on values such as "!!int ''" or 2024-99-99
        raise FormatError(f"the YAML contains a value that cannot be read ({str(error)[:80]}).", path) from error


class Fault:
    """Makes FormatErrors of one place of a file, e.g. ``feature 12``."""

    __slots__ = ("line", "path", "place")

    def __init__(self, path: object, place: str = "", line: int | None = None) -> None:
        self.path, self.place, self.line = path, place, line

    def __call__(self, reason: str) -> FormatError:
        """Return the error that says ``reason`` of this place."""
        return FormatError(f"{self.place}: {reason}" if self.place else reason, self.path, self.line)

    def at(self, place: str) -> Fault:
        """Return the same file's fault at ``place``."""
        return Fault(self.path, place, self.line)


def shown(value: object) -> str:
    """Return a short, printable form of any value, for error sentences."""
    try:
        text = repr(value) if isinstance(value, (str, float, bool, type(None))) else _short_repr(value)
    except (ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= 80 else text[:77] + "..."


def _short_repr(value: object) -> str:
    if isinstance(value, int):
        return str(value) if abs(value) < 10**30 else "a huge number"
    if isinstance(value, (list, tuple, dict)):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    return repr(value)


def number(value: object, what: str, fault: Callable[[str], FormatError], farthest: float = FARTHEST_PX) -> float:
    """Return a number, or a text that is one, as a finite float no larger than ``farthest``.

    Raises
    ------
    FormatError
        When it is none; made by ``fault``.
    """
    result = math.nan
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            result = float(value)
        except OverflowError:
            result = math.inf
    elif isinstance(value, str) and len(value) <= 60 and value.isascii() and "_" not in value:
        try:
            result = float(value)
        except ValueError:
            result = math.nan
    if not abs(result) <= farthest:
        raise fault(f"expected {what} to be a number up to {farthest:g}, got {shown(value)}.")
    return result


def whole_number(value: object, what: str, fault: Callable[[str], FormatError], largest: int = 10**9) -> int:
    """Return a whole number from 0 to ``largest``.

    Raises
    ------
    FormatError
        When it is none; made by ``fault``.
    """
    result = number(value, what, fault, float(largest))
    if result < 0 or result != int(result):
        raise fault(f"expected {what} to be a whole number from 0 to {largest}, got {shown(value)}.")
    return int(result)


def class_name(value: object, fault: Callable[[str], FormatError]) -> str:
    """Return a class name as the source has it, less blanks at its ends.

    Raises
    ------
    FormatError
        When it is no printable text of 1 to 500 characters, which a class id has to be.
    """
    name = value.strip() if isinstance(value, str) else ""
    if not name or not name.isprintable() or len(name) > 500:
        raise fault(f"expected a printable class name of 1 to 500 characters, got {shown(value)}.")
    return name


def free_text(value: object, most: int = 1_000_000) -> str:
    """Return a text that any database and file can hold, or an empty one for what is no text."""
    if not isinstance(value, str):
        return ""
    return value[:most].encode("utf-8", "replace").decode("utf-8").replace("\x00", "")
