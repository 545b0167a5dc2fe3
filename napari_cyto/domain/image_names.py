"""What an image is called, and when two names are of one image: the one list of suffixes and the one rule for names.

Which slide a label belongs to is decided in this order, and nowhere else (see ``docs/slides-and-labels.md``):

1. by fingerprint, which finds a slide that moved; while both files are there it is no proof, and the files are
   compared in whole before two are taken for one;
2. by the full relative path, as the label file has it: every folder that it names must be there;
3. by the exact name, with a *known* image suffix removed (``.svs``, ``.ome.tif``) and Unicode normalised; upper and
   lower case are told apart where both are there;
4. else the user is asked, or the import refused, with the candidates.

Never by a prefix of the name, nor by what stands before its first or last dot: ``H23.0412`` and ``H23.0413`` are two
patients. Two slides of one import are never merged.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

FLAT_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".dib", ".webp"),
    *(".jp2", ".j2k", ".j2c", ".jpx", ".jpf", ".ppm", ".pgm", ".pbm", ".pnm"),
)
"""Images without levels."""
TIFF_SUFFIXES = (".tif", ".tiff", ".ome.tif", ".ome.tiff", ".btf", ".tf8", ".ome.btf", ".ome.tf8")
"""TIFF under its own names; vendors' files that are TIFFs too have theirs among the slides."""
VENDOR_SUFFIXES = (
    *(".svs", ".ndpi", ".ndpis", ".mrxs", ".scn", ".bif", ".svslide", ".vms", ".vmu", ".vmic"),
    *(".czi", ".zvi", ".dcm", ".qptiff"),
)
"""Slides of the scanners' vendors, as OpenSlide reads them."""
FOREIGN_SUFFIXES = (
    *(".gif", ".heic", ".avif", ".jxl"),
    *(".isyntax", ".i2syntax", ".vsi", ".lif", ".nd2", ".oir", ".kfb", ".sdpc", ".tmap", ".mdsx", ".afi", ".ets"),
)
"""Images that are not read here, but which label files name."""

READ_SUFFIXES = (*FLAT_SUFFIXES, *TIFF_SUFFIXES, *VENDOR_SUFFIXES)
"""Every suffix of an image that may be read, lower case, each with its dot; compound ones included."""
IMAGE_SUFFIXES = (*READ_SUFFIXES, *FOREIGN_SUFFIXES)
"""Every suffix that is taken off a name before it is compared with another."""

_LONGEST_FIRST = sorted(IMAGE_SUFFIXES, key=len, reverse=True)
_READ_LONGEST_FIRST = sorted(READ_SUFFIXES, key=len, reverse=True)


def image_suffix(name: str) -> str:
    """Return the known image suffix at the end of a name, as spelled there; empty when it has none.

    ``.ome.tif`` is one suffix. A name that would be nothing but a suffix has none.
    """
    return _suffix_among(name, _LONGEST_FIRST)


def reads_as_image(name: str) -> bool:
    """Whether a file of this name may be an image that is read here, whatever the case of its suffix."""
    return bool(_suffix_among(name, _READ_LONGEST_FIRST)) and not name.startswith("._")


def _suffix_among(name: str, suffixes: Sequence[str]) -> str:
    low = name.lower()
    if low in suffixes:
        return ""
    for suffix in suffixes:
        # Lowering may lengthen a name by letters that it spells with two; suffixes are plain ASCII at its end.
        if low.endswith(suffix):
            return name[len(name) - len(suffix) :]
    return ""


def bare_name(name: str) -> str:
    """Return the name of an image without folders and without a known image suffix; dots in it stay."""
    last = name_parts(name)[-1]
    return last.removesuffix(image_suffix(last))


def name_parts(name: str) -> tuple[str, ...]:
    """Return the folders and the name that a path of any system has, in Unicode NFC; at least one part.

    A drive, a leading slash, and parts that are empty or ``.`` are left out.
    """
    parts = [part for part in _normal(name).replace("\\", "/").split("/") if part not in ("", ".")]
    if len(parts) > 1 and len(parts[0]) == 2 and parts[0][1] == ":":
        parts = parts[1:]
    return tuple(parts) or ("",)


def same_text(one: str, other: str) -> bool:
    """Whether two names are the same letters, however their accents are spelled."""
    return _normal(one) == _normal(other)


class Closeness(IntEnum):
    """How well one name agrees with another; the closest candidates win, and more than one of them is ambiguous."""

    NONE = 0
    BARE_BUT_CASE = 1
    """But for a known suffix and for upper and lower case."""
    BARE = 2
    """But for a known suffix."""
    BUT_CASE = 3
    """But for upper and lower case."""
    EXACT = 4


def closeness(sought: str, candidate: str, *, either_way: bool = False) -> Closeness:
    """Return how well the name of a candidate agrees with one that is looked for.

    Every folder that ``sought`` names must be one of the candidate's, in their order, right before its name. The
    other way round, a candidate in more folders than are named agrees; with ``either_way`` so does one in fewer.

    Parameters
    ----------
    sought : str
        A name or relative path, as a label file has it.
    candidate : str
        A name or path of an image that is known.
    either_way : bool
        Whether neither of the two says more than the other.
    """
    *folders, name = name_parts(sought)
    *others, other = name_parts(candidate)
    common = min(len(folders), len(others)) if either_way else len(folders)
    tails = (folders[len(folders) - common :], others[len(others) - common :] if len(others) >= common else None)
    if tails[1] is None:
        return Closeness.NONE
    close = _names_agree(name, other)
    if tails[0] == tails[1] or not close:
        return close
    if [f.lower() for f in tails[0]] != [f.lower() for f in tails[1]]:
        return Closeness.NONE
    return Closeness.BUT_CASE if close >= Closeness.BUT_CASE else Closeness.BARE_BUT_CASE


def same_folders(sought: str, candidate: str) -> bool:
    """Whether the folders that a name has are those right before a candidate's, whatever their upper and lower case."""
    folders = [part.lower() for part in name_parts(sought)[:-1] if part != ".."]
    others = [part.lower() for part in name_parts(candidate)[:-1]]
    return not folders or others[-len(folders) :] == folders


def _names_agree(name: str, other: str) -> Closeness:
    if name == other:
        return Closeness.EXACT
    if name.lower() == other.lower():
        return Closeness.BUT_CASE
    forms, others = _forms(name), _forms(other)
    if forms & others:
        return Closeness.BARE
    folded = {form.lower() for form in forms} & {form.lower() for form in others}
    return Closeness.BARE_BUT_CASE if folded else Closeness.NONE


def _forms(name: str) -> set[str]:
    # The label file of slide.svs.png may be slide.svs.txt: what is left of a name may end like an image again.
    return {name, name.removesuffix(image_suffix(name))}


def lookup_keys(name: str) -> set[str]:
    """Return what an index of names is asked with: names that agree at all, whatever their folders, share a key."""
    return {form.lower() for form in _forms(name_parts(name)[-1])}


@dataclass(frozen=True, slots=True)
class Found:
    """The candidates that agree best with a name: none, one, or several between which nothing here can choose."""

    places: tuple[int, ...]
    closeness: Closeness

    @property
    def only(self) -> int | None:
        """The place of the candidate where there is exactly one."""
        return self.places[0] if len(self.places) == 1 else None


def closest(sought: str, candidates: Iterable[Sequence[str]], *, either_way: bool = False) -> Found:
    """Return which candidates agree best with a name.

    Parameters
    ----------
    sought : str
        A name or relative path, as a label file has it.
    candidates : iterable of sequence of str
        The names of each candidate: what it is called, the path of its file.
    either_way : bool
        As for ``closeness``.
    """
    best, places = Closeness.NONE, list[int]()
    for place, names in enumerate(candidates):
        close = max((closeness(sought, name, either_way=either_way) for name in names if name), default=Closeness.NONE)
        if close > best:
            best, places = close, [place]
        elif close and close == best:
            places.append(place)
    return Found(tuple(places), best)


def without_common_folders(names: Iterable[str]) -> dict[str, str]:
    """Return each name without the leading folders that all of ``names`` share, which tell none of them apart."""
    listed = list(dict.fromkeys(names))
    split = {name: name_parts(name) for name in listed}
    common = 0
    while all(len(parts) > common + 1 for parts in split.values()) and split:
        if len({parts[common] for parts in split.values()}) > 1:
            break
        common += 1
    return {name: "/".join(parts[common:]) for name, parts in split.items()}


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text)
