"""What a camera's image file holds, and its pixels as they are stored: PNG, JPEG, BMP, WebP, JPEG 2000, PNM."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, UnidentifiedImageError

from napari_cyto.errors import SlideError
from napari_cyto.slides.backend import RGB, TileError
from napari_cyto.slides.depth import eight_bit, used_bits

FORMATS = ("PNG", "JPEG", "MPO", "BMP", "DIB", "WEBP", "JPEG2000", "PPM")
"""As PIL calls them. MPO is a JPEG with further ones behind it, as phones write it."""
MOST_PX = 1_000_000_000
"""Decoding takes 3 bytes a px at once: 3 GB."""

_ORIENTATION = 0x0112
_TURNED = {
    2: "mirrored",
    3: "turned by 180°",
    4: "mirrored upside down",
    5: "mirrored and turned by 90°",
    6: "turned by 90° clockwise",
    7: "mirrored and turned by 90°",
    8: "turned by 90° anticlockwise",
}


@dataclass(frozen=True, slots=True)
class FlatHeader:
    """What the header of an image file says.

    Parameters
    ----------
    format : str
        One of ``FORMATS``.
    size_hw : tuple of int
        Height and width as stored, px.
    icc : bytes or None
        Its colour profile.
    is_deep : bool
        Whether a sample has more than 8 bits.
    remarks : tuple of str
        What a person should know, one sentence each.
    """

    format: str
    size_hw: tuple[int, int]
    icc: bytes | None
    is_deep: bool
    remarks: tuple[str, ...]


def orientation_remark(orientation: object) -> str:
    """Return what to say of an EXIF or TIFF orientation; empty where the image is shown as it is stored anyway.

    Source
    ------
    Exif 2.32, tag Orientation (274), which TIFF 6.0 has, too.
    """
    turned = _TURNED.get(orientation) if isinstance(orientation, int) else None
    if turned is None:
        return ""
    return (
        f"The file asks viewers to show it {turned}; it is shown as stored, since annotations made by programs that "
        "follow that tag, and those by programs that do not, would lie in different places."
    )


def read_header(path: Path) -> FlatHeader:
    """Return what the header says; no pixel is decoded.

    Raises
    ------
    SlideError
        When it is no image, one of another format, or has more than ``MOST_PX``.
    """
    try:
        with _opened(path) as image:
            named, (width, height) = image.format or "", image.size
            if named not in FORMATS:
                raise SlideError(
                    f"Expected a PNG, JPEG, BMP, WebP, JPEG 2000 or PNM image, got {named or 'another'}: {path.name}. "
                    "Save it as PNG."
                )
            remarks = [orientation_remark(_orientation(image)), _frames_remark(image)]
            icc, is_deep = image.info.get("icc_profile"), _is_deep(image, path)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, TypeError, OverflowError) as error:
        raise SlideError(f"{path.name} is no image that can be read: {error}.") from error
    if height * width > MOST_PX:
        raise SlideError(
            f"{path.name} has {width:,} x {height:,} px, and a file without tiles is read up to {MOST_PX / 1e6:,.0f} "
            "Mpx; make it a pyramidal TIFF."
        )
    return FlatHeader(named, (height, width), icc, is_deep, tuple(r for r in remarks if r))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image of any size: PIL's own limit guards against decoding, which is not done here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Image.init()
        with path.open("rb") as stream:
            start = stream.read(16)
            for named in (*FORMATS, *(other for other in Image.OPEN if other not in FORMATS)):
                factory, accepts = Image.OPEN.get(named, (None, None))
                if factory is None or (accepts is not None and accepts(start) is not True):
                    continue
                stream.seek(0)
                try:
                    image = factory(stream, str(path))
                except (SyntaxError, IndexError, TypeError, KeyError, EOFError):
                    continue
                with image:
                    yield image
                return
    raise UnidentifiedImageError("its bytes are those of no image format")


def _orientation(image: Image.Image) -> object:
    """Return the tag as far as it stands in the header: PIL's own look for it would decode a whole PNG."""
    exif = Image.Exif()
    exif.load(image.info.get("exif", b""))
    return exif.get(_ORIENTATION)


def _is_deep(image: Image.Image, path: Path) -> bool:
    if image.format == "PNG":
        with path.open("rb") as stream:
            return stream.read(25)[24:] == b"\x10"
    return image.format == "JPEG2000" or image.mode.startswith("I")


def _frames_remark(image: Image.Image) -> str:
    """Return what to say of further pictures; those of an MPO are previews or the second eye's."""
    count = getattr(image, "n_frames", 1)
    return f"The file holds {count} images; the first is shown." if count > 1 and image.format != "MPO" else ""


def decode(path: Path, header: FlatHeader) -> RGB:
    """Return the pixels as stored, uint8 RGB ``(h, w, 3)``; what is transparent is white.

    Raises
    ------
    TileError
        When the file is damaged.
    """
    try:
        if header.format in ("JPEG", "MPO"):
            return _jpeg(path)
        if header.is_deep:
            return _on_white(eight_bit(*_deep(path, header)))
        with _opened(path) as image:
            return _as_rgb(image)
    except (OSError, ValueError, SyntaxError, RuntimeError, TypeError, EOFError, MemoryError) as error:
        raise TileError(str(error) or type(error).__name__) from error


def depth_remark(path: Path, header: FlatHeader) -> str:
    """Return what to say of samples of more than 8 bits of which not all are used; their pixels are decoded for it."""
    if not header.is_deep:
        return ""
    try:
        samples, bits = _deep(path, header)
    except (OSError, ValueError, RuntimeError, TypeError):
        return ""
    return said_of_bits(bits, samples.dtype.itemsize * 8)


def said_of_bits(bits: int, stored: int) -> str:
    """Return what to say of ``bits`` used of ``stored`` ones; empty where all are, or where 8 are stored."""
    if stored <= 8 or bits >= stored:
        return ""
    return f"{bits} of the {stored} bits of each sample are used; {bits} bits are shown as the full range."


def _deep(path: Path, header: FlatHeader) -> tuple[npt.NDArray[np.unsignedinteger], int]:
    data = path.read_bytes()
    if header.format == "PNG":
        samples = np.asarray(imagecodecs.png_decode(data))
    elif header.format == "JPEG2000":
        samples = np.asarray(imagecodecs.jpeg2k_decode(data))
    else:
        with _opened(path) as image:
            samples = np.asarray(image).astype(np.uint16)
    if samples.dtype.kind != "u":
        raise ValueError(f"samples of the type {samples.dtype} are not read")
    if samples.dtype == np.uint8:
        return samples, 8
    return samples, used_bits(int(samples.max(initial=0)), samples.dtype.itemsize * 8)


def _jpeg(path: Path) -> RGB:
    data = path.read_bytes()
    colours = simplejpeg.decode_jpeg_header(data)[2]
    if colours in ("CMYK", "YCCK"):
        with _opened(path) as image:
            return _as_rgb(image)
    # PIL fills what damage leaves out with grey and says nothing; the strict decoder tells.
    decoded: RGB = simplejpeg.decode_jpeg(data, "RGB", strict=True)
    return decoded


def _on_white(pixels: npt.NDArray[np.uint8]) -> RGB:
    """Return grey, RGB, or either with alpha as RGB."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    channels = pixels.shape[-1]
    colours = np.repeat(pixels[..., :1], 3, axis=-1) if channels <= 2 else pixels[..., :3]
    if channels in (2, 4):
        alpha = pixels[..., -1:].astype(np.uint16)
        colours = ((colours * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(colours)


def _as_rgb(image: Image.Image) -> RGB:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return np.array(Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB"))
    return np.array(image.convert("RGB"))
