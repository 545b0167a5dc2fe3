"""What runs in a process of its own: open a slide with the slide library, look at some of it, and tell.

The library is C; on a damaged file it may abort, loop, or ask for all memory, and takes its process along. This file
runs as a script, one request a line as JSON on standard input, one answer a line on standard output, so that it
starts without importing the rest of the package.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

IDLE_S = 60
"""It ends by itself when it was not asked anything for so long (where there are alarms: not on Windows)."""
SAMPLING_S = 0.3
"""Processor time for looking at tiles; what was not looked at by then is not."""
SAMPLE_PX = 256
MOST_EXTRA_PX = 32_000_000
"""Extra images (label, macro) of more px than this are left out."""
MOST_EXTRA = 32
MOST_LEVELS = 64
MOST_SIDE_PX = 2**31 - 1
_PLACES = ((0.5, 0.5), (0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.25, 0.25), (0.75, 0.75), (0.25, 0.75))


def main() -> None:
    """Answer requests until there are no more."""
    # What the library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import openslide  # noqa: F401 - loaded before the memory is counted

    unused_bytes = _address_bytes()
    _rest()
    for line in sys.stdin:
        request = json.loads(line)
        _begin(request, unused_bytes)
        answer = _looked_at(request["path"])
        _rest()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        if _address_bytes() > unused_bytes + request["memory_bytes"] // 2:
            return


def _begin(request: dict[str, Any], unused_bytes: int) -> None:
    if not hasattr(signal, "setitimer"):
        return
    import resource

    signal.alarm(0)
    # A signal that nobody handles ends the process even when it is inside the library.
    signal.setitimer(signal.ITIMER_PROF, request["cpu_s"])
    if unused_bytes:
        soft, hard = unused_bytes + request["memory_bytes"], resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _rest() -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(IDLE_S)


def _address_bytes() -> int:
    """Return the size of the address space, bytes; 0 where the system does not tell and would not limit it."""
    try:
        with open("/proc/self/statm", "rb") as handle:  # noqa: PTH123 - one import less at the start
            return int(handle.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def _looked_at(path: str) -> dict[str, Any]:
    from openslide import OpenSlideError, lowlevel

    vendor: str | None = None
    try:
        vendor = lowlevel.detect_vendor(path)
        return {"vendor": vendor, "left_out": [] if vendor is None else _look(path)}
    except OpenSlideError as error:
        return {"vendor": vendor, "error": str(error) or "the slide library does not say why"}
    except MemoryError:
        return {"vendor": vendor, "error": "it asks for more memory than a slide of its size can need"}
    except (OSError, ValueError, OverflowError, TypeError) as error:
        return {"vendor": vendor, "error": f"{type(error).__name__}: {error}"}


def _look(path: str) -> list[str]:
    """Read what opening reads, and some tiles; return the names of the extra images that are too large to be read."""
    from openslide import OpenSlideError, lowlevel

    until = time.process_time() + SAMPLING_S
    handle = lowlevel.open(path)
    try:
        for name in lowlevel.get_property_names(handle):
            lowlevel.get_property_value(handle, name)
        if lowlevel.read_icc_profile.available:
            lowlevel.read_icc_profile(handle)
        extra, left_out = _extra(handle)
        for sample in _samples(handle, extra):
            if time.process_time() > until:
                break
            try:
                sample(handle)
            except OpenSlideError:
                # Damage that the library tells of is hatched when it is met, but the handle is spoilt by it.
                lowlevel.close(handle)
                handle = lowlevel.open(path)
    finally:
        lowlevel.close(handle)
    return left_out


def _extra(handle: Any) -> tuple[list[str], list[str]]:
    """Return the names of the extra images that may be read, and of those that are too many or too large."""
    from openslide import lowlevel

    names = lowlevel.get_associated_image_names(handle)
    small = {
        name: (size := lowlevel.get_associated_image_dimensions(handle, name))[0] * size[1] <= MOST_EXTRA_PX
        for name in names[:MOST_EXTRA]
    }
    return [name for name in names if small.get(name)], [name for name in names if not small.get(name)]


def _samples(handle: Any, extra: list[str]) -> list[Callable[[Any], object]]:
    """Return what to read: the middle of every level, the extra images, then the corners, coarse levels first."""
    from openslide import lowlevel

    levels = lowlevel.get_level_count(handle)
    if not 0 < levels <= MOST_LEVELS:
        raise ValueError(f"it has {levels} levels")
    sizes = [lowlevel.get_level_dimensions(handle, level) for level in range(levels)]
    factors = [lowlevel.get_level_downsample(handle, level) for level in range(levels)]
    if not all(0 < side <= MOST_SIDE_PX for size in sizes for side in size) or not all(f > 0 for f in factors):
        raise ValueError(f"its levels have the sizes {sizes[:9]}")
    read_region: Any = lowlevel.read_region
    read_extra: Any = lowlevel.read_associated_image
    reads: list[Callable[[Any], object]] = []
    for down, across in _PLACES:
        for level in reversed(range(levels)):
            (width, height), factor = sizes[level], factors[level]
            w, h = min(width, SAMPLE_PX), min(height, SAMPLE_PX)
            x, y = int((width - w) * across * factor), int((height - h) * down * factor)
            reads.append(partial(read_region, x=x, y=y, level=level, w=w, h=h))
    reads[levels:levels] = [partial(read_extra, name=name) for name in extra]
    return reads


if __name__ == "__main__":
    main()
