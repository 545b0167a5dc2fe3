"""A picture of a whole slide with what is marked on it: overview, legend, scale bar, and fields close up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.geometry import Box, boxes_touch
from napari_cyto.slides import Slide, thumbnail

_MAP_PX = 1240
_FIELD_HW = (880, 1160)
_PANEL_PX = 620
_MARGIN_PX = 24
_INK = (30, 30, 34)
_FAINT = (120, 120, 128)
_ROUND_UM = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


@dataclass(frozen=True, slots=True)
class _Annotations:
    annotations: Sequence[Annotation]
    scheme: ClassScheme

    def colour(self, annotation: Annotation) -> tuple[int, int, int]:
        if annotation.class_id is None or annotation.class_id not in self.scheme:
            return _INK
        return self.scheme[annotation.class_id].rgb


def render_overview(
    slide: Slide, annotations: Iterable[Annotation], scheme: ClassScheme, title: str, mpp: float | None = None
) -> Image.Image:
    """Return the picture.

    Parameters
    ----------
    slide : Slide
        The slide.
    annotations : iterable of Annotation
        What is marked on it, level-0 px.
    scheme : ClassScheme
        Gives names and colours.
    title : str
        Stands above the legend.
    mpp : float, optional
        µm per level-0 px for the scale bars; the slide's own when not given, none where that is unknown.
    """
    drawn = _Annotations(tuple(a for a in annotations if a.status is not Status.REJECTED), scheme)
    scale = mpp or slide.info.mpp
    whole = _whole_slide(slide, drawn, scale)
    fields = [_field(slide, drawn, origin, scale) for origin in _worthwhile_fields(drawn, slide)]
    panel_h = sum(f.height + _MARGIN_PX for f in fields) + 330
    canvas = Image.new("RGB", (whole.width + _PANEL_PX + 3 * _MARGIN_PX, max(whole.height, panel_h) + 2 * _MARGIN_PX))
    canvas.paste((255, 255, 255), (0, 0, *canvas.size))
    canvas.paste(whole, (_MARGIN_PX, _MARGIN_PX))
    left = whole.width + 2 * _MARGIN_PX
    y = _legend(canvas, left, drawn, title)
    for field in fields:
        canvas.paste(field, (left, y))
        y += field.height + _MARGIN_PX
    return canvas


def write_overview(canvas: Image.Image, path: Path) -> None:
    """Write the picture as PNG under a temporary name first."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        canvas.save(temporary, format="PNG")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _whole_slide(slide: Slide, drawn: _Annotations, mpp: float | None) -> Image.Image:
    canvas = Image.fromarray(thumbnail(slide, _MAP_PX))
    draw = ImageDraw.Draw(canvas)
    fy, fx = canvas.height / slide.info.height, canvas.width / slide.info.width
    for annotation in sorted(drawn.annotations, key=lambda a: not a.is_region):
        if annotation.is_region:
            y0, x0, y1, x1 = annotation.geometry.bounds_yxyx
            draw.rectangle((x0 * fx, y0 * fy, x1 * fx, y1 * fy), outline=_INK, width=2)
            continue
        y, x = annotation.geometry.centre_yx
        unreviewed = annotation.status is Status.UNREVIEWED
        radius = 4 if unreviewed else 3
        where = (x * fx - radius, y * fy - radius, x * fx + radius, y * fy + radius)
        colour = drawn.colour(annotation)
        draw.ellipse(where, fill=None if unreviewed else colour, outline=colour if unreviewed else (255, 255, 255))
    draw.rectangle((0, 0, canvas.width - 1, canvas.height - 1), outline=(205, 205, 210))
    _scale_bar(canvas, None if mpp is None else mpp / fx)
    return canvas


def _field(slide: Slide, drawn: _Annotations, origin_yx: tuple[int, int], mpp: float | None) -> Image.Image:
    """Return a field at level 0 with boxes, points and class names, as wide as the panel."""
    y0, x0 = origin_yx
    height, width = _FIELD_HW
    canvas = Image.fromarray(slide.read_region(0, y0, x0, height, width))
    zoom = _PANEL_PX / width
    canvas = canvas.resize((_PANEL_PX, round(height * zoom)), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(canvas)
    taken: list[tuple[float, float, float]] = []
    for annotation in drawn.annotations:
        ay0, ax0, ay1, ax1 = annotation.geometry.bounds_yxyx
        if annotation.is_region or not boxes_touch((ay0, ax0, ay1, ax1), (y0, x0, y0 + height, x0 + width)):
            continue
        colour = drawn.colour(annotation)
        box = ((ax0 - x0) * zoom, (ay0 - y0) * zoom, (ax1 - x0) * zoom, (ay1 - y0) * zoom)
        if isinstance(annotation.geometry, Box):
            draw.rectangle(box, outline=colour, width=2)
            if annotation.class_id != "NILM":
                _label(draw, (box[0], box[1] - 15), str(annotation.class_id), colour, taken)
        else:
            draw.ellipse((box[0] - 4, box[1] - 4, box[0] + 4, box[1] + 4), fill=colour, outline=(255, 255, 255))
    draw.rectangle((0, 0, canvas.width - 1, canvas.height - 1), outline=(205, 205, 210))
    _scale_bar(canvas, None if mpp is None else mpp / zoom)
    return canvas


def _label(
    draw: ImageDraw.ImageDraw,
    xy: tuple[float, float],
    text: str,
    colour: tuple[int, int, int],
    taken: list[tuple[float, float, float]],
) -> None:
    """Write a class name unless another name is already there; ``taken`` holds (x0, x1, y) of those written."""
    x, y = xy[0], max(0.0, xy[1])
    right = draw.textbbox((x + 3, y), text, font=_font(12))[2] + 3
    if any(x < x1 and right > x0 and abs(y - other) < 15 for x0, x1, other in taken):
        return
    taken.append((x, right, y))
    draw.rectangle((x, y, right, y + 15), fill=colour)
    dark = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] < 140
    draw.text((x + 3, y), text, fill=(255, 255, 255) if dark else _INK, font=_font(12))


def _legend(canvas: Image.Image, left: int, drawn: _Annotations, title: str) -> int:
    """Draw title and counts at the panel's top and return where the next thing goes, px."""
    draw = ImageDraw.Draw(canvas)
    draw.text((left, _MARGIN_PX), title, fill=_INK, font=_font(24))
    accepted = Counter(a.class_id for a in drawn.annotations if a.status is Status.ACCEPTED)
    unreviewed = Counter(a.class_id for a in drawn.annotations if a.status is Status.UNREVIEWED)
    y = _MARGIN_PX + 42
    draw.text((left + 330, y - 4), "accepted    proposed", fill=_FAINT, font=_font(15))
    for cell_class in drawn.scheme.classes:
        if not accepted[cell_class.id] and not unreviewed[cell_class.id]:
            continue
        y += 26
        draw.ellipse((left + 2, y + 2, left + 16, y + 16), fill=cell_class.rgb)
        draw.text((left + 28, y), cell_class.name, fill=_INK, font=_font(16))
        for column, count in ((392, accepted[cell_class.id]), (480, unreviewed[cell_class.id])):
            draw.text((left + column, y), f"{count:,}", fill=_INK, font=_font(16), anchor="ra")
    y += 26
    regions = accepted[None]
    draw.rectangle((left + 2, y + 3, left + 16, y + 16), outline=_INK, width=2)
    draw.text((left + 28, y), "Region: every cell inside is annotated", fill=_INK, font=_font(16))
    draw.text((left + 392, y), f"{regions}", fill=_INK, font=_font(16), anchor="ra")
    return y + 26 + _MARGIN_PX


def _scale_bar(canvas: Image.Image, um_per_px: float | None) -> None:
    if um_per_px is None:
        return
    length_um = max((um for um in _ROUND_UM if um / um_per_px <= canvas.width / 5), default=_ROUND_UM[0])
    length_px = length_um / um_per_px
    # In mm throughout: the font that comes with Pillow has no letter for micro.
    text = f"{length_um / 1000:g} mm"
    draw = ImageDraw.Draw(canvas)
    x, y = 20, canvas.height - 22
    draw.rectangle((x - 10, y - 26, x + length_px + 10, y + 12), fill=(255, 255, 255))
    draw.rectangle((x, y, x + length_px, y + 4), fill=_INK)
    draw.text((x, y - 22), text, fill=_INK, font=_font(16))


def _worthwhile_fields(drawn: _Annotations, slide: Slide) -> list[tuple[int, int]]:
    """Return the corners of two fields that show most: many classes, then many graded cells, not the same place."""
    graded = [a for a in drawn.annotations if a.class_id is not None and a.class_id in drawn.scheme]
    graded = [a for a in graded if (drawn.scheme[str(a.class_id)].severity or 0) > 0]
    if not graded:
        return []
    centres = np.array([a.geometry.centre_yx for a in graded])
    classes = np.array([str(a.class_id) for a in graded])
    size = np.array(_FIELD_HW)
    chosen: list[tuple[int, int]] = []
    for _ in range(2):
        scored = []
        for centre in centres:
            seen = (np.abs(centres - centre) < size / 2).all(axis=1)
            far = all((np.abs(centre - (np.array(c) + size / 2)) > size * 0.9).any() for c in chosen)
            if far:
                scored.append((len(set(classes[seen])) * 4 + min(int(seen.sum()), 20), tuple(centre)))
        if scored:
            y, x = max(scored)[1]
            y0 = int(np.clip(y - size[0] / 2, 0, max(0, slide.info.height - size[0])))
            x0 = int(np.clip(x - size[1] / 2, 0, max(0, slide.info.width - size[1])))
            chosen.append((y0, x0))
    return chosen
