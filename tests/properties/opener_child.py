"""A program that opens files whose paths it reads, one a line, as the command line and the window do; no test itself.

It answers each with a line of JSON: what came of it, the processor's seconds and the most memory that it took. It runs
as a process of its own because a hostile file may fill the memory, hang, or end it.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

import numpy as np

from napari_cyto.errors import CytoError
from napari_cyto.formats.image_size import image_size_hw
from napari_cyto.slides import fingerprint, open_slide, shared_cache, thumbnail
from napari_cyto.slides._levels import pyramid
from napari_cyto.slides.slide import Slide
from napari_cyto.slides.synthetic_levels import zoomable
from napari_cyto.widgets.npe2_hooks import slide_reader

MEMORY_BYTES = 1500 * 2**20
CPU_S = 20


def opened(path: Path) -> str:
    """Open a file in every way; return "opened", or the sentence it is refused with."""
    fingerprint(path)
    for read in (image_size_hw, slide_reader):
        try:
            read(path)
        except CytoError as error:
            _one_sentence(error)
    try:
        slide = open_slide(path)
    except CytoError as error:
        _one_sentence(error)
        return f"refused: {error}"
    with slide:
        look_at(slide)
    return "opened"


def look_at(slide: Slide) -> None:
    """Read what a view and the command line show of a slide."""
    info = slide.info
    facts = (info.mpp, info.objective, info.bounds_yxyx, info.factors_yx, info.downsamples, info.level_sizes_hw)
    json.dumps((facts, dict(info.properties), info.remarks), allow_nan=False)
    assert all("\n" not in remark for remark in info.remarks), info.remarks
    for level, (height, width) in enumerate(info.level_sizes_hw):
        for y, x in {(0, 0), (max(0, height - 64), max(0, width - 64)), (height // 2, width // 2)}:
            part = slide.read_region(level, y, x, min(64, height - y), min(64, width - x), icc=True)
            assert part.dtype == np.uint8
    if info.width * info.height <= 2**24:
        thumbnail(slide, 256)
        np.asarray(pyramid(slide)[-1])
    zoomable(slide).read_region(zoomable(slide).info.levels - 1, 0, 0, 32, 32)


def _one_sentence(error: CytoError) -> None:
    text = str(error)
    assert text.endswith("."), text
    assert "\n" not in text, text
    assert "Traceback" not in text, text


def main() -> None:
    """Answer until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + MEMORY_BYTES,) * 2)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        signal.setitimer(signal.ITIMER_PROF, CPU_S)
        shared_cache().clear()
        Path("/proc/self/clear_refs").write_text("5")
        began = time.process_time()
        try:
            what = opened(path)
        except Exception:  # noqa: BLE001 - whatever it is, it is told
            what = f"raised: {traceback.format_exc()}"
        seconds = time.process_time() - began
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps([what, seconds, _status("VmHWM") / 2**20]), flush=True)


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


if __name__ == "__main__":
    main()
