"""How a slide was imaged, as far as its file and its pixels say: the scanner, and the colour of its stained parts."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from napari_cyto.datasets.colour_match import slide_statistics
from napari_cyto.domain.prediction_sets import SlideLook
from napari_cyto.errors import CytoError
from napari_cyto.slides import Slide, SlideInfo, open_slide
from napari_cyto.store import Project
from napari_cyto.store.kept_sets import keep_looks, looks_of

_DEVICES = (
    "aperio.ScanScope ID",
    "hamamatsu.Product",
    "hamamatsu.NDP.S/N",
    "leica.device-model",
    "philips.DICOM_MANUFACTURER",
    "philips.DICOM_DEVICE_SERIAL_NUMBER",
    "ventana.ScannerModel",
    "ventana.UnitNumber",
    "dicom.Manufacturer",
    "dicom.ManufacturerModelName",
    "dicom.DeviceSerialNumber",
    "tiff.Make",
    "tiff.Model",
)
"""Properties that name a device. Source: OpenSlide's documentation of formats, "Vendor-specific properties"."""

_OF_ONE_MAKER = ("aperio", "hamamatsu", "leica", "mirax", "philips", "sakura", "trestle", "ventana", "zeiss")
"""Formats that only the scanners of one maker write: where no device is named, the maker alone is known."""

_NO_NAMES = ("", "unknown", "none", "n/a")
_LONGEST = 200


def scanner_of(info: SlideInfo) -> str:
    """Return what a file says of its scanner: maker, device and objective; empty where it names no scanner."""
    devices = [info.properties.get(name, "").strip() for name in _DEVICES]
    named = [device for device in dict.fromkeys(devices) if device.casefold() not in _NO_NAMES]
    maker = [info.vendor] if info.vendor in _OF_ONE_MAKER else []
    if not maker and not named:
        return ""
    objective = [] if info.objective is None else [f"{info.objective:g}x"]
    words = " ".join([*maker, *named, *objective])
    return "".join(letter if letter.isprintable() else " " for letter in words)[:_LONGEST]


def look_of(slide: Slide) -> SlideLook:
    """Return how a slide was imaged; without a colour where its pixels cannot be read."""
    try:
        light, a, b = slide_statistics(slide).mean_lab
    except CytoError:
        return SlideLook(scanner=scanner_of(slide.info))
    return SlideLook(scanner=scanner_of(slide.info), colour_lab=(round(light, 3), round(a, 3), round(b, 3)))


def looked_at(project: Project, slide_ids: Collection[str]) -> tuple[Mapping[str, SlideLook], tuple[str, ...]]:
    """Return how slides of a project were imaged, and why some could not be looked at, a sentence each.

    Slides of which it is not kept yet are opened, and what is found is kept with the project.
    """
    known, new, faults = looks_of(project), dict[str, SlideLook](), list[str]()
    for slide_id in slide_ids:
        if slide_id in known:
            continue
        record = project.slide(slide_id)
        try:
            with open_slide(project.slide_path(record)) as slide:
                new[slide_id] = look_of(slide)
        except CytoError as error:
            faults.append(f"{record.name} was left out: {error}")
    keep_looks(project, new)
    return {slide_id: look for slide_id, look in (known | new).items() if slide_id in slide_ids}, tuple(faults)
