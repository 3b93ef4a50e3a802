"""Segments in shared memory."""

import pytest

from cluster_worker.errors import Rejected
from cluster_worker.segments import Segments

MIB = 1 << 20


@pytest.fixture
def segments(tmp_path):
    made = Segments(tmp_path)
    made.limit = 10 * MIB
    yield made
    made.close()


def in_files(segments):
    return sum(each.stat().st_size for each in segments.folder.iterdir())


def test_a_segment_given_back_is_used_again(segments):
    first = segments.allocate([MIB], 0)
    segments.release(first)
    assert segments.allocate([MIB], 0) == first


def test_warm_segments_make_room_for_a_job_that_they_do_not_fit(segments):
    segments.release(segments.allocate([3 * MIB, 3 * MIB], 0))
    segments.allocate([9 * MIB], 0)
    assert in_files(segments) <= segments.limit


def test_what_is_given_back_may_be_taken_again_in_full(segments):
    for _ in range(3):
        segments.release(segments.allocate([4 * MIB, 6 * MIB], 0))
    assert segments.taken == 0


def test_memory_that_is_held_is_waited_for_and_memory_that_never_is_there_is_refused(segments):
    segments.allocate([6 * MIB], 0)
    with pytest.raises(TimeoutError, match="held by other jobs"):
        segments.allocate([5 * MIB], 0.05)
    with pytest.raises(Rejected, match="this machine has 10 MiB"):
        segments.allocate([11 * MIB], 0)
