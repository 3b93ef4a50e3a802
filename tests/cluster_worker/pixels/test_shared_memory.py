"""Segments in shared memory."""

import errno
import os
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from cluster_worker.errors import Cancelled, Rejected
from cluster_worker.pixels.shared_memory import MAPS_MAX, Maps, Pixels, Segments, Wait

MIB = 1 << 20
NOW = Wait(0)


@pytest.fixture
def segments(tmp_path):
    made = Segments(tmp_path)
    made.limit = 10 * MIB
    yield made
    made.close()


def in_files(segments):
    return sum(each.stat().st_size for each in segments.folder.iterdir())


def test_a_segment_given_back_is_used_again(segments):
    first = segments.allocate([MIB], NOW)
    segments.release(first)
    assert segments.allocate([MIB], NOW) == first


def test_warm_segments_make_room_for_a_job_that_they_do_not_fit(segments):
    segments.release(segments.allocate([3 * MIB, 3 * MIB], NOW))
    segments.allocate([9 * MIB], NOW)
    assert in_files(segments) <= segments.limit


def test_what_is_given_back_may_be_taken_again_in_full(segments):
    for _ in range(3):
        segments.release(segments.allocate([4 * MIB, 6 * MIB], NOW))
    assert segments.taken == 0


def test_memory_in_use_is_waited_for_and_memory_beyond_the_limit_is_refused(segments):
    segments.allocate([6 * MIB], NOW)
    with pytest.raises(TimeoutError, match="held by other jobs"):
        segments.allocate([5 * MIB], Wait(0.05))
    with pytest.raises(Rejected, match="this machine has 10 MiB"):
        segments.allocate([11 * MIB], NOW)


def test_the_time_begins_anew_while_those_that_use_the_memory_work_on(segments):
    segments.allocate([6 * MIB], NOW)
    looks = []

    def look():
        looks.append(time.monotonic())
        return len(looks) < 4

    with pytest.raises(TimeoutError, match="held by other jobs"):
        segments.allocate([5 * MIB], Wait(0.1, look))
    assert len(looks) == 4


@pytest.fixture
def full(segments, monkeypatch):
    """Make the folder refuse all new files until the event is set."""
    room, allocate = threading.Event(), os.posix_fallocate

    def refuse(*arguments):
        if not room.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        allocate(*arguments)

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    return room


def test_memory_that_others_have_filled_is_waited_for(segments, full):
    threading.Timer(0.3, full.set).start()
    (segment,) = segments.allocate([MIB], Wait(10))
    assert segments.taken == segment.nbytes == MIB


def test_memory_that_stays_full_is_never_the_fault_of_an_image(segments, full):
    with pytest.raises(TimeoutError, match="no room for 2 MiB: No space left on device"):
        segments.allocate([MIB, MIB], Wait(0.05))
    assert segments.taken == 0
    assert list(segments.folder.iterdir()) == []
    full.set()
    segments.allocate([10 * MIB], NOW)


def cancel():
    raise Cancelled


def test_who_waits_for_memory_is_told_to_stop_whoever_uses_it(segments, full):
    with pytest.raises(Cancelled):
        segments.allocate([MIB], Wait(60, cancel))
    assert segments.taken == 0
    full.set()
    (taken,) = segments.allocate([6 * MIB], NOW)
    with pytest.raises(Cancelled):
        segments.allocate([5 * MIB], Wait(60, cancel))
    assert segments.taken == taken.nbytes


def test_an_image_is_mapped_once_and_seen_by_all_who_map_it(segments):
    (segment,) = segments.allocate([MIB], NOW)
    pixels = Pixels(str(segment.path), (8, 8), "uint16")
    theirs = Maps()
    written = segments.maps.map(pixels, writable=True)
    written[...] = 7
    for maps in (segments.maps, theirs):
        seen = maps.map(pixels, writable=False)
        assert (seen == 7).all()
        assert not seen.flags.writeable
    assert np.shares_memory(written, segments.maps.map(pixels, writable=True))


def test_a_process_keeps_a_limited_number_of_maps(segments):
    maps = Maps()
    for segment in segments.allocate([4096] * (MAPS_MAX + 3), NOW):
        maps.map(Pixels(str(segment.path), (4, 4), "uint8"), writable=True)
    assert len(maps.kept) == MAPS_MAX


def test_a_discarded_segment_frees_its_pages_though_a_rank_still_maps_it():
    in_memory = Segments(Path("/dev/shm"))  # noqa: S108 - memory, not a temporary file
    try:
        segments = in_memory.allocate([64 * MIB], NOW)
        theirs = Maps().map(Pixels(str(segments[0].path), (64, MIB), "uint8"), writable=True)
        theirs[...] = 1
        taken = segments[0].path.stat().st_blocks
        with segments[0].path.open("rb") as file:
            in_memory.discard(segments)
            assert os.fstat(file.fileno()).st_blocks == 0 < taken
        # A rank that still reads there finds zeros, and does not die.
        assert not theirs.any()
    finally:
        shutil.rmtree(in_memory.folder)
