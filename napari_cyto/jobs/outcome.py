"""How every job here ends: in exactly one of done, failed, cancelled, with a sentence a person can act on."""

from __future__ import annotations

import traceback
from collections.abc import Iterator

from napari_cyto.errors import CytoError, JobCancelled, ScaleUnknownError, system_sentence
from napari_cyto.jobs.events import Advanced, Cancelled, Done, Event, Failed, Noted, Token

UNTOUCHED = "What was there before is untouched."
Steps = Iterator[Advanced | Noted | Done]


def ending_once(steps: Iterator[Event]) -> Iterator[Event]:
    """Yield what ``steps`` says and turn the exception that ends it, if one does, into the last event."""
    try:
        yield from steps
    except JobCancelled as error:
        yield Cancelled(str(error))
    except (CytoError, OSError) as error:
        yield failed(error)
    except Exception as error:  # noqa: BLE001  a job never leaves without its last word
        yield Failed(f"{type(error).__name__}: {error}", expected=False, traceback=traceback.format_exc())


def failed(error: CytoError | OSError) -> Failed:
    """Return the last event of a job that ended by what its user can mend."""
    if isinstance(error, ScaleUnknownError):
        return Failed(str(error), without_scale=error.images)
    return Failed(str(error) if isinstance(error, CytoError) else system_sentence(error))


def stop_if_cancelled(token: Token | None, kept: str = "Nothing was written.") -> None:
    """Leave the job when its user asked for that.

    Raises
    ------
    JobCancelled
        Saying what was kept.
    """
    if token is not None and token.cancelled():
        raise JobCancelled(f"Cancelled. {kept}")
