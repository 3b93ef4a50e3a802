import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_worker.tiling import Span, core_shape, share, tiles

LENGTHS = st.integers(1, 90)


@given(rows=LENGTHS, columns=LENGTHS, height=LENGTHS, width=LENGTHS, halo=st.integers(0, 40))
def test_the_cores_cover_every_pixel_once(rows, columns, height, width, halo):
    seen = np.zeros((rows, columns), int)
    for tile in tiles((rows, columns), (height, width), halo):
        seen[tile.core.slices] += 1
        assert tile.core.pixels <= height * width
    assert (seen == 1).all()


@given(rows=LENGTHS, columns=LENGTHS, core=LENGTHS, halo=st.integers(0, 40))
def test_a_halo_is_clipped_at_the_image_border(rows, columns, core, halo):
    for tile in tiles((rows, columns), (core, core), halo):
        assert tile.window == Span(
            max(tile.core.top - halo, 0),
            min(tile.core.bottom + halo, rows),
            max(tile.core.left - halo, 0),
            min(tile.core.right + halo, columns),
        )
        inner = tile.core.relative_to(tile.window)
        assert inner.pixels == tile.core.pixels


def test_a_core_without_pixels_is_refused():
    with pytest.raises(ValueError, match="core: must hold at least one pixel, got 0 × 3"):
        tiles((5, 5), (0, 3), 1)


@given(count=st.integers(0, 50), ranks=st.integers(1, 9))
def test_shares_hold_every_item_once_and_are_even(count, ranks):
    shares = [share(range(count), rank, ranks) for rank in range(ranks)]
    assert [item for each in shares for item in each] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(
    rows=st.integers(1, 50_000),
    columns=st.integers(1, 50_000),
    halo=st.integers(0, 400),
    parts=st.integers(1, 64),
)
def test_a_chosen_core_has_pixels_and_fits_the_image(rows, columns, halo, parts):
    height, width = core_shape((rows, columns), halo, parts, 1 << 20)
    assert 1 <= height <= rows
    assert 1 <= width <= columns
