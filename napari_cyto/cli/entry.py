"""From the words of the command line to an exit code."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import typer

from napari_cyto.cli.job_follower import Interrupted
from napari_cyto.cli.library_logs import VERBOSE, library_logs
from napari_cyto.cli.output import printable_streams
from napari_cyto.errors import CytoError, ScaleUnknownError, system_sentence

# Typer brings click along in some versions and needs it in others; both name the root of its errors like this.
_USAGE_ERRORS: tuple[type[Exception], ...] = tuple(
    k for k in typer.BadParameter.__mro__ if k.__name__ in ("ClickException", "TyperException")
)

_CTRL_C = 130
_FOREIGN = re.compile(r"(mysql|mariadb|sqlite|oracle|mssql|sqlserver|mongodb)(?:\+\w+)?://", re.IGNORECASE)


def run(argv: list[str]) -> int:
    """Run one verb.

    Parameters
    ----------
    argv : list of str
        The words after ``napari-cyto``.

    Returns
    -------
    int
        The exit code: 0, 2 for what a user can mend, 128 + the signal when interrupted. A bug is raised.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A pipe on Windows has a code page that lacks most letters; a slide's name must not end in a traceback there.
        sys.stdout.reconfigure(errors="backslashreplace")
    verbose = VERBOSE in argv
    with printable_streams(), library_logs(verbose):
        return _run([word for word in argv if word != VERBOSE] if verbose else argv)


def _run(argv: list[str]) -> int:
    from napari_cyto.cli.verbs import build

    words = json_last(argv)
    try:
        words = _with_folders(words)
        _check_readings(words)
        words = format_first(words)
        code = build(words)(args=words, prog_name="napari-cyto", standalone_mode=False)
        if code == _CTRL_C:
            # Newer typer turns Ctrl-C into this code by itself, without a word.
            raise KeyboardInterrupt
    except ScaleUnknownError as error:
        from napari_cyto.slides.nuclear_scale import with_offer

        return _refuse(with_offer(error))
    except CytoError as error:
        return _refuse(str(error))
    except Interrupted as error:
        _refuse(str(error))
        return error.code
    except (KeyboardInterrupt, typer.Abort):
        _refuse("Interrupted; existing files are untouched.")
        return _CTRL_C
    except BrokenPipeError:
        # The reader of our stdout has left (`... | head`), which is no mistake of anybody.
        sys.stderr.close()
        return 0
    except OSError as error:
        return _refuse(system_sentence(error))
    except _USAGE_ERRORS as error:
        return _refuse(_usage_sentence(error))
    return code if isinstance(code, int) else 0


def _with_folders(words: list[str]) -> list[str]:
    """Return the words with folders in the place of databases' addresses, which may hold passwords.

    Raises
    ------
    CytoError
        When an address is of another database than PostgreSQL.
    """
    foreign = next((found for word in words if (found := _FOREIGN.match(word))), None)
    if foreign is not None:
        raise CytoError(
            "Expected a project folder or the address of a PostgreSQL database, like postgresql://ana@server/smears, "
            f"got an address of {foreign[1]}."
        )
    if not any("postgres" in word for word in words):
        return words
    from napari_cyto.store.database.links import with_folders

    return with_folders(words)


def _check_readings(words: list[str]) -> None:
    """Refuse what lies in the folder of a project while who calls has begun a reading in it.

    Raises
    ------
    CytoError
        When a word names such a file or folder.
    """
    places = [word.rpartition("=")[2].rpartition(":")[2].partition("@")[0] for word in words]
    if words[:1] == ["reading"] or not any(".cyto" in word for word in (*words, str(Path.cwd()))):
        return
    from napari_cyto.files.reader import reader_name
    from napari_cyto.store.reading_gate import check_path

    for place in {*places, *words}:
        if not place.startswith("-") and Path(place).exists():
            check_path(Path(place), reader_name())


def json_last(words: list[str]) -> list[str]:
    """Return the words with ``--json`` at the end, so that it may stand anywhere, before a format's name too."""
    if "--" in words or "--json" not in words:
        return words
    return [*(w for w in words if w != "--json"), "--json"]


def format_first(words: list[str]) -> list[str]:
    """Return the words of ``import SOURCE PROJECT`` with the format before them, and old calls of ``evaluate`` as new.

    Raises
    ------
    FormatError
        When there is such a source, but it looks like no format or like several.
    """
    if words[:1] == ["evaluate"]:
        from napari_cyto.cli.evaluate import named

        return ["evaluate", *named(words[1:])]
    if words[:1] != ["import"] or len(words) < 2 or words[1].startswith("-"):
        return words
    from napari_cyto.cli.exchange import named_or_seen

    return ["import", *named_or_seen(words[1]), *words[1:]]


def _usage_sentence(error: BaseException) -> str:
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    return f"{message.rstrip('.')}; see `napari-cyto --help`."


def _refuse(sentence: str) -> int:
    # A list of bad rows keeps its lines; all other white space may come from a file and is made plain.
    lines = [" ".join(line.split()) for line in sentence.split("\n  ")]
    print("\n  ".join(lines), file=sys.stderr)
    return 2
