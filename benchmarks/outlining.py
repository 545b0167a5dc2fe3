"""One click, one outline: how well nucleus and cell are outlined, by the network that ships and by the watershed.

    python benchmarks/outlining.py [--data ../shared/data] [--images FOLDER] [--json FILE]

Nuclei with masks: Herlev's single cells, grey extended-depth fields like those of ISBI 2014 (real data, which lie
beside the checkout and are only measured on), and made-up smears that nothing was trained on, there of cells on which
others lie to at most 30 %. Clicks lie at the deepest place of each nucleus, and at random places of it. Bars: mean
Dice of nuclei at least 0.90 (Herlev), 0.88 (grey) and 0.93 (made up), of whole cells 0.85; at most 3 % of the nuclei
under a Dice of 0.5; at most 150 ms a click, warm. Intervals hold for other images: images of one cell or field go
together. The last line is JSON; ``--json`` keeps all figures, ``--images`` draws usual and worst outlines.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage

from napari_cyto.domain.statistics.bootstrap import Resampling, estimate, share_estimate
from napari_cyto.inference.outline.outlines import (
    NetworkOutlines,
    OutlinedCell,
    OutlineMethod,
    Watershed,
    dice,
    mask_of,
    outline_method,
)
from napari_cyto.slides.pixel_source import ImagePixels
from napari_cyto.synthesis.outlined_fields import make_field

FIELDS, FIELD_PX, FIRST_SEED = 8, 1400, 20_001
MOST_OVERLAP, FAILURE = 0.3, 0.5
GREY_MPP = 0.37
JITTERED = 2
SMALLEST_PX = 40
BARS = {"Herlev": 0.90, "grey": 0.88, "made up": 0.93}
CELL_BAR, FAILURE_BAR, CLICK_BAR_MS = 0.85, 0.03, 150.0
CRIC_MPP, CRIC_SHOWN = 0.228, 10
TILE, SHOWN = 150, 10

PROTOCOL = (
    "Clicks at the deepest place of the nucleus, or at two random places of it. Herlev: 69 images of 49 cells; grey: "
    "72 nuclei of 6 fields of 3 smears, the scale an estimate; made up: 113 nuclei of 8 fields of other seeds than "
    "those of training, of cells on which others lie to at most 30 %. Intervals (95 %) over cells, smears and fields. "
    "Failures: Dice below 0.5. Which of two rounds of training ships was decided by figures on these sets, too."
)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Nucleus:
    """A nucleus with its mask and, where it is known, that of its cell, on an image of a group of images."""

    image: int
    mask: Mask
    cell: Mask | None


@dataclass
class Set:
    """Images with nuclei."""

    name: str
    mpps: tuple[float | None, ...]
    images: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    nuclei: list[Nucleus] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """What came of a click."""

    nucleus: Nucleus
    click: tuple[float, float]
    found: OutlinedCell
    nucleus_dice: float
    cell_dice: float | None
    ms: float


def main() -> None:
    """Measure, print, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--fields", type=int, default=FIELDS, help="made-up fields")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="Draw usual and worst outlines.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="Keep all figures.")
    options = parser.parse_args()
    masked = options.data / "outlines"
    sets = [s for s in (herlev(masked / "herlev"), grey(masked / "edf"), made_up(options.fields)) if s.images]
    methods: list[OutlineMethod] = [outline_method()[0], Watershed()]
    figures = []
    for chosen in sets:
        for mpp in chosen.mpps:
            for method in methods:
                for clicks, places in (("deepest", deepest), ("jittered", jittered)):
                    outcomes = list(outlined(chosen, mpp, method, places))
                    figures.append(summary(chosen, mpp, method.name, clicks, outcomes))
                    print(line_of(figures[-1]), flush=True)
                    if options.images and isinstance(method, NetworkOutlines) and mpp == chosen.mpps[0]:
                        draw(options.images, chosen, outcomes, clicks)
    if options.images and (options.data / "cric").is_dir():
        draw_cric(options.images, options.data / "cric", methods[0])
    if options.json:
        options.json.write_text(json.dumps(kept(figures), indent=1) + "\n", encoding="utf-8")
    ours = [each for each in figures if each["method"] != "watershed"]
    print(json.dumps({"holds": all(each["holds"] for each in ours), "figures": len(figures)}))


def herlev(folder: Path) -> Set:
    """Single cells; copies of one cell are one group. Their scale is not known to whoever gets the image alone."""
    found = Set("Herlev", (None,))
    for place in sorted(folder.glob("*_mask.png")):
        cell = re.search(r"\d{9}-\d{9}-\d{3}", place.name)
        _add(found, place, "" if cell is None else cell[0], whole=True)
    return found


def grey(folder: Path) -> Set:
    """Grey fields: with the scale as it was estimated, and without."""
    found = Set("grey", (None, GREY_MPP))
    for place in sorted(folder.glob("*_mask.png")):
        number = re.search(r"\d{5}(?=_\dx\d)", place.name)
        _add(found, place, place.name if number is None else number[0], whole=False)
    return found


def made_up(fields: int) -> Set:
    """Fields of other seeds than those of training (0 to 99)."""
    found = Set("made up", (0.25, None))
    for n in range(fields):
        made = make_field(FIRST_SEED + n, FIELD_PX, variety=0.5)
        found.images.append(made.rgb)
        found.groups.append(str(n))
        for cell in made.cells:
            nucleus, body = (m.on(0, 0, FIELD_PX, FIELD_PX) for m in (cell.nuclei[0], cell.cell))
            # One that the border cuts has no whole truth.
            if cell.overlap <= MOST_OVERLAP and nucleus.sum() == cell.nuclei[0].mask.sum():
                found.nuclei.append(Nucleus(n, nucleus, body | nucleus))
    return found


def _add(into: Set, mask_place: Path, group: str, whole: bool) -> None:
    image = mask_place.with_name(mask_place.name.replace("_mask.png", ".jpg"))
    number = len(into.images)
    into.images.append(np.asarray(Image.open(image).convert("RGB")))
    into.groups.append(group)
    mask = np.asarray(Image.open(mask_place).convert("L")) > 127
    labels, count = ndimage.label(mask)
    parts = [mask] if whole else [labels == n for n in range(1, count + 1)]
    into.nuclei += [Nucleus(number, part, None) for part in parts if part.sum() >= SMALLEST_PX]


def deepest(mask: Mask) -> list[tuple[float, float]]:
    """The place farthest from the border."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return [(float(y) + 0.5, float(x) + 0.5)]


def jittered(mask: Mask) -> list[tuple[float, float]]:
    """Places anywhere in the nucleus, each as likely as another."""
    ys, xs = np.nonzero(mask)
    chosen = np.random.default_rng(int(mask.sum())).choice(len(ys), JITTERED, replace=False)
    return [(float(ys[n]) + 0.5, float(xs[n]) + 0.5) for n in chosen]


def outlined(
    chosen: Set, mpp: float | None, method: OutlineMethod, places: Callable[[Mask], list[tuple[float, float]]]
) -> Iterator[Outcome]:
    """Yield what comes of each click."""
    pixels = [ImagePixels(image) for image in chosen.images]
    method.outline(pixels[0], (8.5, 8.5), mpp)  # warm
    for nucleus in chosen.nuclei:
        for click in places(nucleus.mask):
            began = time.perf_counter()
            found = method.outline(pixels[nucleus.image], click, mpp)
            ms = 1e3 * (time.perf_counter() - began)
            size = nucleus.mask.shape
            of_nucleus = dice(mask_of(found.nucleus_yx, size), nucleus.mask)
            of_cell = None if nucleus.cell is None else dice(mask_of(found.cytoplasm_yx, size), nucleus.cell)
            yield Outcome(nucleus, click, found, of_nucleus, of_cell, ms)


def summary(chosen: Set, mpp: float | None, method: str, clicks: str, outcomes: list[Outcome]) -> dict[str, Any]:
    """Return the figures of a set, with intervals over its groups of images."""
    groups = [chosen.groups[each.nucleus.image] for each in outcomes]
    of_nuclei = np.array([each.nucleus_dice for each in outcomes])
    of_cells = np.array([np.nan if each.cell_dice is None else each.cell_dice for each in outcomes])
    resampling = Resampling(draws=1000)
    mean = estimate(lambda drawn: float(of_nuclei[drawn].mean()), groups, resampling)
    failed = share_estimate(of_nuclei < FAILURE, np.ones(len(outcomes), bool), groups)
    known = np.isfinite(of_cells).any()
    cells = estimate(lambda drawn: float(of_cells[drawn].mean()), groups, resampling) if known else None
    ms = [each.ms for each in outcomes]
    holds = [
        mean.value is not None and mean.value >= BARS[chosen.name],
        failed.value is not None and failed.value <= FAILURE_BAR,
        float(np.median(ms)) <= CLICK_BAR_MS,
        cells is None or cells.value is None or cells.value >= CELL_BAR,
    ]
    return {
        "set": chosen.name,
        "mpp": mpp,
        "method": method,
        "clicks": clicks,
        "images": len(chosen.images),
        "nucleus_dice": mean.to_json(),
        "failures": failed.to_json(),
        "cell_dice": None if cells is None else cells.to_json(),
        "ms_median": float(np.median(ms)),
        "ms_p95": float(np.quantile(ms, 0.95)),
        "holds": all(holds),
    }


def kept(figures: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of the network as its card holds them: by what was measured, then by set and clicks."""
    found: dict[str, Any] = {"nucleus Dice": {}, "failures, %": {}, "cell Dice": {}, "protocol": PROTOCOL}
    for each in (one for one in figures if one["method"] != Watershed.name):
        scale = "unknown" if each["mpp"] is None else f"{each['mpp']:g}"
        name = f"{each['set']}, µm per px {scale}, clicks {each['clicks']}"
        found["nucleus Dice"][name] = _shown(each["nucleus_dice"])
        found["failures, %"][name] = _shown(each["failures"], 100)
        if each["cell_dice"] is not None:
            found["cell Dice"][name] = _shown(each["cell_dice"])
    return found


def line_of(figures: dict[str, Any]) -> str:
    """Return the figures as a row of a table in Markdown."""
    scale = "unknown" if figures["mpp"] is None else f"{figures['mpp']:g}"
    cells = figures["cell_dice"]
    return (
        f"| {figures['set']}, µm per px {scale} | {figures['method']} | {figures['clicks']} | "
        f"{figures['nucleus_dice']['n']} / {figures['nucleus_dice']['groups']} | {_shown(figures['nucleus_dice'])} | "
        f"{_shown(figures['failures'], 100)} | {'' if cells is None else _shown(cells)} | "
        f"{figures['ms_median']:.0f} / {figures['ms_p95']:.0f} |"
    )


def _shown(value: dict[str, Any], times: int = 1) -> str:
    digits = 3 if times == 1 else 1
    low, high = (value[end] for end in ("low", "high"))
    ends = "" if low is None or high is None else f" ({low * times:.{digits}f} to {high * times:.{digits}f})"
    return f"{value['value'] * times:.{digits}f}{ends}"


def draw(folder: Path, chosen: Set, outcomes: list[Outcome], clicks: str) -> None:
    """Draw outlines about the median Dice (above) and the worst (below): truth white, ours red, the click a cross."""
    order = sorted(range(len(outcomes)), key=lambda n: outcomes[n].nucleus_dice)
    middle = len(order) // 2 - SHOWN // 2
    rows = [order[max(middle, 0) :][:SHOWN], order[:SHOWN]]
    sheet = Image.new("RGB", (TILE * SHOWN, 2 * TILE), "white")
    for down, row in enumerate(rows):
        for across, n in enumerate(row):
            one = outcomes[n]
            tile = _tile(chosen.images[one.nucleus.image], one.found, one.nucleus.mask, one.nucleus.cell)
            ImageDraw.Draw(tile).text((3, 2), f"{one.nucleus_dice:.2f}", fill="black")
            sheet.paste(tile, (across * TILE, down * TILE))
    folder.mkdir(parents=True, exist_ok=True)
    sheet.save(folder / f"outlines-{chosen.name.lower().replace(' ', '-')}-{clicks}.jpg", quality=88)


def draw_cric(folder: Path, cric: Path, method: OutlineMethod) -> None:
    """Draw outlines of real abnormal cells of CRIC, for which there is no truth."""
    rows = [row for row in csv.DictReader((cric / "cells.csv").open(encoding="utf-8")) if row["bethesda"] != "NILM"]
    sheet = Image.new("RGB", (TILE * CRIC_SHOWN, 2 * TILE), "white")
    for n, k in enumerate(np.random.default_rng(3).choice(len(rows), 2 * CRIC_SHOWN, replace=False)):
        row = rows[k]
        image = np.asarray(Image.open(cric / "images" / row["image"]).convert("RGB"))
        mpp = CRIC_MPP / float(row["px_per_cric_px"])
        found = method.outline(ImagePixels(image), (float(row["y"]), float(row["x"])), mpp)
        tile = _tile(image, found, None, None)
        sheet.paste(tile, (n % CRIC_SHOWN * TILE, n // CRIC_SHOWN * TILE))
    folder.mkdir(parents=True, exist_ok=True)
    sheet.save(folder / "outlines-cric.jpg", quality=88)


def _tile(image: npt.NDArray[np.uint8], found: OutlinedCell, nucleus: Mask | None, cell: Mask | None) -> Image.Image:
    y, x = found.click_yx
    extents = [np.ptp(np.asarray(ring), axis=0).max() for ring in (found.nucleus_yx, found.cytoplasm_yx) if ring]
    truth = nucleus if cell is None else cell
    if truth is not None:
        extents += [max(np.ptp(places) for places in np.nonzero(truth))]
    half = 0.7 * max([30.0, *map(float, extents)])
    scale = TILE / (2 * half)
    box = (x - half, y - half, x + half, y + half)
    padded = Image.fromarray(image).transform((TILE, TILE), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(padded)
    for mask in (nucleus, cell):
        if mask is not None:
            edge = mask & ~ndimage.binary_erosion(mask)
            shown = [
                ((px + 0.5 - box[0]) * scale, (py + 0.5 - box[1]) * scale)
                for py, px in zip(*np.nonzero(edge), strict=True)
            ]
            pen.point(shown, fill="white")
    for ring, colour in ((found.nucleus_yx, (220, 0, 0)), (found.cytoplasm_yx, (0, 90, 220))):
        if ring:
            line = [((px - box[0]) * scale, (py - box[1]) * scale) for py, px in (*ring, ring[0])]
            pen.line(line, fill=colour, width=1)
    pen.line([(TILE / 2 - 4, TILE / 2), (TILE / 2 + 4, TILE / 2)], fill="black")
    pen.line([(TILE / 2, TILE / 2 - 4), (TILE / 2, TILE / 2 + 4)], fill="black")
    return padded


if __name__ == "__main__":
    main()
