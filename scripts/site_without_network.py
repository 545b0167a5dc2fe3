"""A hook of MkDocs: fail the build of the documentation where a page would fetch something from another host."""

from __future__ import annotations

import re
from typing import Any

# What a browser fetches by itself; a link that somebody may click is not among them.
_FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*?\ssrc=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?![^>]*rel=["']?canonical)[^>]*?\shref=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|url\(["']?((?:https?:)?//[^"')]+)"""
    r"""|@import\s+["']((?:https?:)?//[^"']+)""",
    re.IGNORECASE,
)


def fetched(html: str) -> list[str]:
    """Return the addresses on other hosts that a browser would fetch with a page."""
    return [address for found in _FETCHED.findall(html) for address in found if address]


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuse a page that fetches something."""
    if fetched(output):
        from mkdocs.exceptions import PluginError

        raise PluginError(f"{page.file.src_uri} fetches {', '.join(fetched(output))}; the site must work offline.")
    return output
