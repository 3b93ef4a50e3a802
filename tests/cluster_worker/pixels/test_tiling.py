import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_worker.pixels.tiling import (
    Place,
    Span,
    core_shape,
    even_height,
    rank_share,
    span_count,
    spans,
    square_side,
    tiles,
)

LENGTHS = st.integers(1, 90)


@given(
    rows=LENGTHS,
    columns=LENGTHS,
    height=LENGTHS,
    width=LENGTHS,
    grid=st.sampled_from([1, 4, 16]),
)
def test_the_cores_cover_every_pixel_once(rows, columns, height, width, grid):
    seen = np.zeros((rows, columns), int)
    for core in tiles((rows, columns), (height, width), grid):
        seen[core.slices] += 1
        assert core.top % grid == core.left % grid == 0
        assert core.pixels <= max(height, grid) * max(width, grid)
    assert (seen == 1).all()


@given(rows=LENGTHS, columns=LENGTHS, core=LENGTHS, halo=st.integers(0, 40))
def test_a_halo_is_clipped_at_the_image_border(rows, columns, core, halo):
    for each in tiles((rows, columns), (core, core)):
        window = each.grown(halo).clipped((rows, columns))
        assert window == Span(
            max(each.top - halo, 0),
            min(each.bottom + halo, rows),
            max(each.left - halo, 0),
            min(each.right + halo, columns),
        )
        assert Place(window, each, (rows, columns)).inner == each.relative_to(window).slices


@given(length=LENGTHS, step=LENGTHS, grid=st.sampled_from([1, 4, 16]))
def test_spans_are_counted_without_being_made(length, step, grid):
    assert span_count(length, step, grid) == len(spans(length, step, grid))


def test_a_core_without_pixels_is_refused():
    with pytest.raises(ValueError, match="core: must hold at least one pixel, got 0 × 3"):
        tiles((5, 5), (0, 3))


@given(count=st.integers(0, 50), ranks=st.integers(1, 9))
def test_shares_hold_every_item_once_and_are_even(count, ranks):
    shares = [rank_share(range(count), rank, ranks) for rank in range(ranks)]
    assert [item for each in shares for item in each] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(
    rows=st.integers(1, 50_000),
    columns=st.integers(1, 50_000),
    halo=st.integers(0, 400),
    least=st.integers(1, 128),
)
def test_a_chosen_core_has_pixels_and_fits_the_image(rows, columns, halo, least):
    height, width = core_shape((rows, columns), halo, least, 1 << 20)
    assert 1 <= height <= rows
    assert 1 <= width <= columns


@given(rows=st.integers(1, 200), least=st.integers(1, 16))
def test_an_image_of_few_rows_is_cut_into_few_tiles_but_as_many_as_asked_for(rows, least):
    height, width = core_shape((rows, 100_000_000 // rows), 3, least, 1 << 20)
    count = span_count(rows, height) * span_count(100_000_000 // rows, width)
    assert least <= count <= 200


@given(
    rows=st.integers(1, 5000),
    height=st.integers(1, 5000),
    halo=st.integers(0, 20),
    ranks=st.integers(1, 64),
)
def test_ranks_have_as_many_tiles_each_if_these_are_not_too_thin(rows, height, halo, ranks):
    wanted = -(-span_count(rows, height) // ranks) * ranks
    even = even_height((rows, 70), (height, 70), halo, ranks)
    assert 1 <= even <= height
    assert span_count(rows, even) <= wanted
    if rows >= wanted**2 and rows >= 2 * halo * wanted:
        assert span_count(rows, even) == wanted
    else:
        assert even == height or even >= 2 * halo
    assert even_height((rows, 71), (height, 70), halo, ranks) == height


@given(
    pixels=st.integers(0, 1 << 20),
    halo=st.integers(0, 400),
    grid=st.sampled_from([1, 8, 256]),
)
def test_a_square_core_is_as_small_as_its_halo_and_grid_let_it(pixels, halo, grid):
    side = square_side(pixels, halo, 64, grid)
    assert side % grid == 0
    assert side >= min(64, grid)
    assert side <= max(grid, 64, 4 * halo) or side**2 <= pixels
