"""A folder that one program at a time works in: held by a lock that the system takes back when a program is killed."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from napari_cyto.errors import CytoError, system_sentence

IN_USE = ".in-use"
"""The file in such a folder that is locked; without a lock it means nothing, so one that a kill left does no harm."""

_LOOK_S = 0.1
_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


class InUseError(CytoError):
    """Another program, or another run of this one, works in the folder."""


@contextmanager
def alone_in(folder: Path, refusal: str) -> Iterator[None]:
    """Hold a folder, which is made when it is not there, for the length of the block.

    A disk that cannot lock files, as some network shares, is believed to be used by one program.

    Parameters
    ----------
    folder : Path
        What nobody else may hold at the same time, in this process or in another of this machine.
    refusal : str
        The sentence for whoever comes second.

    Raises
    ------
    InUseError
        When somebody else holds it.
    CytoError
        When the folder cannot be made or written.
    """
    is_new = not folder.exists()
    path = folder / IN_USE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _held(path)
    except OSError as error:
        raise CytoError(system_sentence(error)) from error
    if descriptor is None:
        raise InUseError(refusal)
    try:
        yield
    finally:
        _let_go(path, descriptor)
        if is_new:
            with suppress(OSError):
                folder.rmdir()  # where nothing came to lie in it


@contextmanager
def in_turn(folder: Path) -> Iterator[None]:
    """Hold a folder as `alone_in`, but wait for whoever has it; one that cannot be written is held by nobody.

    Parameters
    ----------
    folder : Path
        Where what is made once is made.
    """
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(alone_in(folder, ""))
            except InUseError:
                time.sleep(_LOOK_S)
                continue
            except CytoError:
                pass  # what is to be written there says so itself
            break
        yield


def _held(path: Path) -> int | None:
    """Return the descriptor that holds the lock; None where somebody else does."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            if not _locked(descriptor):
                os.close(descriptor)
                return None
            if _is_still(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        # Whoever had it removed it between the opening and the lock: a lock on that file keeps nobody out.
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            # Of the open file and not of the process, so that two runs of one process are told apart too.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _TAKEN
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _let_go(path: Path, descriptor: int) -> None:
    # Removed while it is held: then nobody else's can be meant. Windows removes only what nobody has open.
    if os.name != "nt":
        with suppress(OSError):
            path.unlink()
    os.close(descriptor)
    if os.name == "nt":
        with suppress(OSError):
            path.unlink()
