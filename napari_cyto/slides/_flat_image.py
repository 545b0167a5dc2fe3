"""What a camera's image file holds, and its pixels as they are stored: PNG, JPEG, BMP, WebP, JPEG 2000, PNM."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import BmpImagePlugin, ImageFile, JpegImagePlugin, WebPImagePlugin

from napari_cyto.domain.image_header import MOST_PX, DamagedImage, ImageHeader, least_bytes, read_image_header
from napari_cyto.errors import SlideError
from napari_cyto.slides._depth import eight_bit, used_bits
from napari_cyto.slides._flat_rows import Samples, bands, interlaced
from napari_cyto.slides.backend import RGB, TileError
from napari_cyto.slides.colour import unusable_remark

FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "JPEG2000", "PPM")
WHOLE_PX = 4096**2
"""Up to this many px the image is one tile, which the cache of tiles holds."""
DECODING_BYTES = 400 * 10**6
"""Memory that may be taken to unpack one picture; what can be unpacked row by row takes less, whatever its size."""
MOST_SLOW_PX = 4_000_000
"""Of pictures whose samples are text (PNM) or runs (BMP): they are few, and unpacked slowly."""
MOST_SIDE_PX = 1_000_000
"""Of a side; as libpng has it."""
MOST_SCANS = 100
"""Passes of a progressive JPEG; cameras and programs write about ten."""

_TEXT_BYTES, _MOST_TEXT_BYTES = 12, 2**16
"""Of a sample that is text with the space round it, and of what else may stand between them."""
_PARSED_BYTES = 2**20
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
    image_header : ImageHeader
        Its fields, each of them checked.
    is_deep : bool
        Whether a sample has more than 8 bits.
    known_bits : int
        How many of them are used, where the header tells; else 0.
    remarks : tuple of str
        What a person should know, one sentence each.
    """

    image_header: ImageHeader
    is_deep: bool
    known_bits: int
    remarks: tuple[str, ...]

    @property
    def format(self) -> str:
        """One of ``FORMATS``."""
        return self.image_header.format

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width as stored, px."""
        return self.image_header.size_hw

    @property
    def is_whole(self) -> bool:
        """Whether the image is one tile."""
        height, width = self.image_header.size_hw
        return height * width <= WHOLE_PX


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
        When it is no image, one of another format, or would take more memory than it may.
    """
    try:
        image_header = read_image_header(path)
    except (DamagedImage, OSError) as error:
        raise SlideError(f"{path.name} is not an image that can be read: {error}.") from error
    if image_header is None or image_header.format not in FORMATS:
        named = "another" if image_header is None else image_header.format
        raise SlideError(
            f"Expected a PNG, JPEG, BMP, WebP, JPEG 2000 or PNM image, got {named}: {path.name}. Save it as PNG."
        )
    if too_large := _too_large(image_header):
        raise SlideError(f"{path.name} has {image_header.size_hw[1]:,} x {image_header.size_hw[0]:,} px, {too_large}")
    is_deep = image_header.format in ("PNG", "JPEG2000", "PPM") and image_header.bits > 8
    is_deep &= image_header.format != "PPM" or image_header.channels == 1
    frames = f"The file holds {image_header.frames:,} images; the first is shown." if image_header.frames > 1 else ""
    icc = unusable_remark(image_header.icc_left_out) if image_header.icc_left_out else ""
    # A sample of 16 bits may be that of a camera of 12: only the pixels tell.
    known_bits = image_header.bits if is_deep and image_header.format == "JPEG2000" and image_header.bits < 16 else 0
    bits = said_of_bits(known_bits, 16) if known_bits else ""
    remarks = (orientation_remark(image_header.orientation), frames, icc, bits)
    return FlatHeader(image_header, is_deep, known_bits, tuple(remark for remark in remarks if remark))


def _too_large(image_header: ImageHeader) -> str:
    """Return why a picture is too large to be unpacked and what to do; empty when it is not."""
    height, width = image_header.size_hw
    instead = 'make it a pyramidal TIFF, with "vips tiffsave --tile --pyramid" or QuPath.'
    if height * width > MOST_PX:
        return f"and a file without tiles is read up to {MOST_PX / 1e6:,.0f} Mpx; {instead}"
    if max(height, width) > MOST_SIDE_PX:
        return f"and sides of up to {MOST_SIDE_PX:,} px are read; {instead}"
    if image_header.in_rows:
        return ""
    is_slow = not image_header.in_rows and (
        image_header.format == "PPM" or (image_header.format == "BMP" and image_header.kind in (1, 2))
    )
    if is_slow and height * width > MOST_SLOW_PX:
        return f"and one whose samples are text or runs is read up to {MOST_SLOW_PX / 1e6:g} Mpx; save it as PNG."
    needed = _decoding_bytes(image_header)
    if needed > DECODING_BYTES:
        return (
            f"and would take {needed / 1e6:,.0f} MB to be unpacked, where {DECODING_BYTES / 1e6:,.0f} MB are allowed; "
            + instead
        )
    return ""


def _decoding_bytes(image_header: ImageHeader) -> int:
    """Return what unpacking a picture takes that cannot be unpacked row by row, bytes.

    Source
    ------
    Measured with the codecs of imagecodecs 2026.3 and Pillow 13: bytes a px at the peak.
    """
    px, channels = image_header.size_hw[0] * image_header.size_hw[1], image_header.channels
    sample = -(-image_header.bits // 8)
    match image_header.format:
        case "JPEG":
            # A baseline JPEG of a large size goes to the disk as it is unpacked.
            return px * 16 if channels == 4 else image_header.coefficient_bytes
        case "JPEG2000":
            return px * (channels * (4 + sample) + 3)
        case "WEBP":
            return px * (18 if image_header.frames > 1 or px <= WHOLE_PX else 11)
        case _:
            return px * (2 * channels * sample + 6)


def decode(path: Path, header: FlatHeader) -> RGB:
    """Return the pixels as stored, uint8 RGB ``(h, w, 3)``; what is transparent is white.

    Raises
    ------
    TileError
        When the file is damaged.
    """
    return decode_deep(path, header)[0]


def decode_deep(path: Path, header: FlatHeader) -> tuple[RGB, int]:
    """Return the pixels as ``decode`` does, and how many bits of the samples are used (8 where no more are stored).

    Raises
    ------
    TileError
        When the file is damaged.
    """
    try:
        if header.image_header.in_rows:
            return _joined(list(bands(path, header.image_header)), header)
        if header.format == "JPEG":
            return _jpeg(path, header.image_header), 8
        samples = _decoded(path, header)
    except (OSError, ValueError, SyntaxError, RuntimeError, TypeError, EOFError, MemoryError) as error:
        raise TileError(str(error) or type(error).__name__) from error
    return _joined([samples], header)


def bits_of(parts: Iterator[Samples]) -> int:
    """Return how many bits the largest sample of a deep image needs."""
    largest, stored = 0, 8
    for part in parts:
        largest, stored = max(largest, int(part.max(initial=0))), 8 * part.dtype.itemsize
    return 8 if stored == 8 else used_bits(largest, stored)


def as_rgb(samples: Samples, bits: int) -> RGB:
    """Return samples of which ``bits`` are used as uint8 RGB ``(h, w, 3)``; what is transparent is white."""
    if bits > 8:
        # A sample that is larger than the header says must not wrap round to black.
        samples = eight_bit(np.minimum(samples, samples.dtype.type(2**bits - 1)), bits)
    return _on_white(samples.astype(np.uint8, copy=False))


def _joined(parts: list[Samples], header: FlatHeader) -> tuple[RGB, int]:
    bits = (header.known_bits or bits_of(iter(parts))) if header.is_deep else 8
    out = np.empty((*header.size_hw, 3), np.uint8)
    row = 0
    for part in parts:
        # In small steps: alpha and depth take several times the room of the pixels.
        for first in range(0, len(part), 256):
            piece = as_rgb(part[first : first + 256], bits)
            out[row : row + len(piece)] = piece
            row += len(piece)
    if row != len(out):
        raise TileError(f"expected {len(out):,} rows, got {row:,}")
    return out, bits


def said_of_bits(bits: int, stored: int) -> str:
    """Return what to say of ``bits`` used of ``stored`` ones; empty where all are, or where 8 are stored."""
    if stored <= 8 or bits >= stored:
        return ""
    return f"{bits} of the {stored} bits of each sample are used; {bits} bits are shown as the full range."


def _decoded(path: Path, header: FlatHeader) -> Samples:
    """Return the samples of a picture that is unpacked at once."""
    data, image_header = path.read_bytes(), header.image_header
    match image_header.format:
        case "JPEG2000":
            samples = np.asarray(imagecodecs.jpeg2k_decode(data))
        case "WEBP" if image_header.frames == 1 and not header.is_whole:
            samples = np.asarray(imagecodecs.webp_decode(data))
        case "WEBP":
            samples = _by_pil(WebPImagePlugin.WebPImageFile, data)
        case "PPM":
            samples = _from_text(data, image_header)
        case "PNG":
            samples = interlaced(path, image_header)
        case _:
            # Runs are decoded one by one, whatever is in them: no picture needs more bytes than this for them.
            longest = image_header.pixels_at + 2 * (image_header.size_hw[0] + 1) * (image_header.size_hw[1] + 2)
            samples = _by_pil(BmpImagePlugin.BmpImageFile, data[:longest])
    if samples.dtype.kind != "u":
        raise ValueError(f"samples of the type {samples.dtype} are not read")
    samples = samples if samples.ndim == 3 else samples[..., None]
    if samples.shape[:2] != image_header.size_hw:
        raise ValueError(f"expected the size {image_header.size_hw}, got {samples.shape[:2]}")
    return samples


def _by_pil(kind: type[ImageFile.ImageFile], data: bytes) -> npt.NDArray[np.uint8]:
    with warnings.catch_warnings(), kind(io.BytesIO(data)) as image:
        warnings.simplefilter("ignore")
        transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
        return np.asarray(image.convert("RGBA" if transparent else "RGB"))


def _from_text(data: bytes, image_header: ImageHeader) -> Samples:
    """Return the samples of a PNM that writes them as text, in 8 bits or 16."""
    height, width = image_header.size_hw
    count = height * width * image_header.channels
    body = data[image_header.pixels_at - 1 : image_header.pixels_at + _MOST_TEXT_BYTES + _TEXT_BYTES * count]
    body = re.sub(rb"#[^\r\n]*", b"", body)
    if image_header.kind == 1:
        digits = np.frombuffer(b"".join(body.split())[:count], np.uint8)
        values, largest = (digits == ord("0")).astype(np.int64), 1
        known = bool(np.isin(digits, (ord("0"), ord("1"))).all())
    else:
        values = _numbers(body, count)
        largest = int(data[: image_header.pixels_at].split()[-1])
        known = bool(((values >= 0) & (values <= largest)).all())
    if len(values) < count or not known:
        raise ValueError(f"expected {count:,} samples of 0 to {largest}, got others or fewer")
    top = 65_535 if image_header.bits == 16 and image_header.channels == 1 else 255
    scaled = (values * top + largest // 2) // largest
    samples: Samples = scaled.astype(np.uint16 if top > 255 else np.uint8)
    return samples.reshape(height, width, image_header.channels)


def _numbers(text: bytes, most: int) -> npt.NDArray[np.int64]:
    """Return the first ``most`` numbers of a text, or as many as there are."""
    found: list[npt.NDArray[np.int64]] = []
    at = 0
    while at < len(text) and most > 0:
        space = re.compile(rb"\s").search(text, min(at + _PARSED_BYTES, len(text)))
        end = len(text) if space is None else space.start() + 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                part = np.fromstring(text[at:end], np.int64, sep=" ")[:most]
            except DeprecationWarning as error:
                raise ValueError("its samples are no numbers") from error
        found.append(part)
        most -= len(part)
        at = end
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _jpeg(path: Path, image_header: ImageHeader, out: RGB | None = None) -> RGB:
    """Return the pixels of a JPEG, in ``out`` where that is given."""
    data = path.read_bytes()
    # The decoder would make up what is missing, px by px, before it says so.
    end = data.find(b"\xff\xd9", image_header.pixels_at)
    if end - image_header.pixels_at < least_bytes(image_header):
        raise ValueError("its pixels end too early")
    colours = simplejpeg.decode_jpeg_header(data)[2]
    if colours in ("CMYK", "YCCK"):
        whole = _by_pil(JpegImagePlugin.JpegImageFile, data)
        if out is not None:
            out[:] = whole
        return whole if out is None else out
    if data.count(b"\xff\xda") > MOST_SCANS:
        raise ValueError(f"it has more than {MOST_SCANS} passes")
    # PIL fills what damage leaves out with grey and says nothing; the strict decoder tells.
    decoded: RGB = simplejpeg.decode_jpeg(data, "RGB", strict=True, buffer=out)
    return decoded


def jpeg_into(path: Path, header: FlatHeader, out: RGB) -> None:
    """Unpack a JPEG into an array, uint8 ``(h, w, 3)``, that may lie on the disk.

    Raises
    ------
    TileError
        When the file is damaged.
    """
    try:
        _jpeg(path, header.image_header, out)
    except (OSError, ValueError, SyntaxError, RuntimeError, TypeError, EOFError, MemoryError) as error:
        raise TileError(str(error) or type(error).__name__) from error


def _on_white(pixels: npt.NDArray[np.uint8]) -> RGB:
    """Return grey, RGB, or either with alpha as RGB."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    channels = pixels.shape[-1]
    if channels == 1:
        grey = np.empty((*pixels.shape[:2], 3), np.uint8)
        grey[...] = pixels  # several times quicker than repeating it
        return grey
    colours = pixels[..., :1] if channels == 2 else pixels[..., :3]
    if channels in (2, 4):
        alpha = pixels[..., -1:].astype(np.uint16)
        colours = ((colours * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(colours, (*pixels.shape[:2], 3)))
