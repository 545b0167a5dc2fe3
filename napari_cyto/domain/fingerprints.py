"""What the fingerprint of a slide's file is as a text, and what two of them prove.

It has two parts, ``SAMPLED-wWHOLE`` or ``SAMPLED-pPIECES``. The first is what projects have always kept: a hash of the
size and 16 pieces of 64 KiB. Two uncompressed images of one size with much empty glass can agree in it. The second is
a hash of the whole file, or where that is large, of many more pieces. A fingerprint of the first part alone, as older
projects and label files have it, stays comparable with both.
"""

from __future__ import annotations

SAMPLED_DIGITS = 32
_WHOLE, _PIECES = "-w", "-p"


def joined(sampled: str, rest: str, *, whole: bool) -> str:
    """Return a fingerprint of both parts."""
    return f"{sampled}{_WHOLE if whole else _PIECES}{rest}"


def sampled_part(fingerprint: str) -> str:
    """Return the part that every version of a fingerprint begins with; what models' cards and caches are keyed by."""
    return fingerprint.partition("-")[0]


def same_fingerprint(one: str, other: str) -> bool:
    """Whether two fingerprints may be of one file: all that both of them say is the same."""
    if not one or not other or sampled_part(one) != sampled_part(other):
        return False
    rests = {each.removeprefix(sampled_part(each)) for each in (one, other)} - {""}
    return len(rests) < 2


def fuller(one: str, other: str) -> str:
    """Return the one of two fingerprints of the same file that says more."""
    return max(one, other, key=len)


def proves_same(one: str, other: str) -> bool:
    """Whether two fingerprints prove that the files are the same to the last byte: both are hashes of the whole."""
    return one == other and _WHOLE in one
