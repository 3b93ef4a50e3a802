"""Stacks: places of planes, and choices of them by axis or by page."""

import pytest

from cluster_worker.errors import Rejected
from cluster_worker.pixels.stack import Choice, Stack, chosen, numbers_in

CELLS = Stack("tzc", (2, 3, 2), channels=("DAPI", "GFP"), step=2e-6)


def test_a_plane_is_named_by_its_place():
    assert CELLS.place(9) == {"t": 1, "z": 1, "c": 1}
    assert CELLS.name(9) == "plane 10 of 12 (t 2, z 2, c 2)"
    assert Stack("p", (4,)).name(2) == "plane 3 of 4"


@pytest.mark.parametrize(
    ("text", "numbers"), [("2", (1,)), ("1,3", (0, 2)), ("4..6", (3, 4, 5)), ("5, 1..2", (4, 0, 1))]
)
def test_numbers_count_from_one_and_ranges_have_both_ends(text, numbers):
    assert numbers_in(text, 6, "z") == numbers


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0", "z: must lie between 1 and 6, got 0"),
        ("3..7", "z: must lie between 1 and 6, got 3..7"),
        ("5..4", "z: must lie between 1 and 6, got 5..4"),
        ("a", "z: must be numbers such as 2, 1,3 or 4..9, got 'a'"),
        ("1,1", "z: names a number twice: 1,1"),
    ],
)
def test_other_texts_are_refused(text, sentence):
    with pytest.raises(Rejected, match=f"^{sentence}$"):
        numbers_in(text, 6, "z")


def test_what_is_chosen_keeps_its_axes_names_and_distances():
    stack, planes = chosen(CELLS, Choice(z="1,3", channels="2"), "a.tif")
    assert planes == (1, 5, 7, 11)
    assert stack == Stack("tzc", (2, 2, 1), channels=("GFP",), step=4e-6)


def test_slices_at_uneven_distances_have_no_step():
    stack, _ = chosen(Stack("z", (9,), step=1e-6), Choice(z="1,2,5"), "a.tif")
    assert stack.step is None


def test_pages_of_several_axes_are_pages():
    stack, planes = chosen(CELLS, Choice(page="3..4"), "a.tif")
    assert (stack.axes, stack.shape, planes) == ("p", (2,), (2, 3))
    with pytest.raises(Rejected, match="leave out t, z and channels"):
        chosen(CELLS, Choice(page="1", z="1"), "a.tif")


def test_an_axis_that_is_not_there_is_refused_with_the_way_out():
    with pytest.raises(
        Rejected, match=r"^a\.tif: has no axis z, its axes are pyx; choose planes by page$"
    ):
        chosen(Stack("p", (3,)), Choice(z="1"), "a.tif")


def test_times_of_frames_follow_the_frames():
    film = Stack("t", (3,), milliseconds=(40, 50, 60))
    assert chosen(film, Choice(t="3,1"), "a.gif")[0].milliseconds == (60, 40)
