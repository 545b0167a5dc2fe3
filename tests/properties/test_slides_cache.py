"""Properties: whatever is asked of it in whatever order, the cache gives right tiles within its bound."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.slides import TileCache

REQUESTS = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 400)) | st.integers(0, 2000), max_size=60)


@given(st.integers(0, 1500), REQUESTS)
def test_never_more_than_its_bytes_and_never_a_wrong_tile(bound: int, requests: list[tuple[int, int] | int]) -> None:
    cache, sizes = TileCache(bound), {}
    for request in requests:
        if isinstance(request, int):
            cache.resize(request)
        else:
            key, size = request
            size = sizes.setdefault(key, size)
            tile = cache.get(key, lambda key=key, size=size: np.full(size, key, np.uint8))
            assert tile.nbytes == size
            assert (tile == key).all()
        assert cache.nbytes <= cache.max_bytes
        kept = [t for t in map(cache.peek, range(13)) if t is not None]
        assert cache.nbytes == sum(t.nbytes for t in kept)
        assert len(cache) == len(kept)
