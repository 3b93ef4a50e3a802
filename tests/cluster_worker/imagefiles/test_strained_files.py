"""Thousands of strained files through the reading child: pixels or one sentence with a way out.

By `make test-long PART=files`.
"""

import re
from collections import Counter

import numpy as np
import pytest

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.pixels.shared_memory import Pixels
from tests.cluster_worker.imagefiles.strained_files import of_science, pictures, strained, tiffs
from tests.cluster_worker.imagefiles.test_odd_files import CLASSES, WAYS

pytestmark = pytest.mark.long

SEED = 11
# Each part takes less than a minute.
PARTS = 12
# A wrong length in the head of these moves their windows: pydicom finds whole frames otherwise.
MOVED = ("dicom", "dicom frames")
PIXELS_MAX, PLANES = 1 << 25, 3
MEMORY_BYTES_MAX, SECONDS_MAX = 1 << 30, 60.0
BYTES_MAX = 1 << 28


def shared(path, shape, dtype):
    """Make a file of pixels that the child can map."""
    with path.open("wb") as file:
        file.truncate(max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize))
    return Pixels(str(path), tuple(shape), dtype)


def read(decoder, path, folder):
    """Read the first planes of a file, whole and by a window; return whether the windows are true.

    Raises
    ------
    Rejected
        If the file is refused.
    """
    whole, true = decoder.read_header(path, "cat"), True
    for plane in range(min(whole.stack.planes, PLANES) if whole.stack else 1):
        header = decoder.read_header(path, "cat", plane) if whole.stack else whole
        if header.pixels_bytes > BYTES_MAX:
            continue
        pixels = shared(folder / "pixels", header.shape, header.dtype)
        decoder.read_pixels(path, header, pixels)
        if header.block:
            (rows, columns), more = header.shape[:2], header.shape[2:]
            top, left = rows // 2, columns // 3
            part = shared(folder / "part", (rows - top, columns - left, *more), header.dtype)
            decoder.read_window(path, header, (top, rows, left, columns), part)
            found, expected = part.map(writable=False), pixels.map(writable=False)[top:, left:]
            is_float = header.dtype.startswith("float")
            true = true and np.array_equal(found, expected, equal_nan=is_float)
    return true


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return pictures() | tiffs() | of_science(tmp_path_factory.mktemp("sound"))


@pytest.mark.parametrize("part", range(PARTS))
def test_strained_files_become_pixels_or_a_sentence_with_a_way_out(
    tmp_path, sound, part, record_property
):
    counts, faults = Counter(), []
    path = tmp_path / "cat"
    limits = PIXELS_MAX, MEMORY_BYTES_MAX, SECONDS_MAX
    with Decoder(*limits) as decoder:
        for odd in strained(sound, SEED, part, PARTS):
            path.write_bytes(odd.content)
            try:
                is_true = read(decoder, path, tmp_path)
                counts["read"] += 1
                is_moved = odd.cause == "wrong count" and odd.sound in MOVED
                if not is_true and not is_moved:
                    faults.append((*odd[:3], "a window differs from the whole"))
            except Rejected as refused:
                sentence = str(refused)
                counts[next(each for each in CLASSES if re.search(CLASSES[each], sentence))] += 1
                plain = sentence.startswith("cat: ") and sentence.isprintable()
                if not plain or not re.search(WAYS, sentence) or "decoder failed" in sentence:
                    faults.append((*odd[:3], sentence))
    record_property("counts", dict(counts))
    assert faults == []
    assert sum(counts.values()) > 200
