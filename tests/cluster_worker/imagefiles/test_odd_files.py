"""Odd files by cause: what they become, and that every sentence says what to do."""

import re
from collections import Counter

import numpy as np
import pytest

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats
from tests.cluster_worker.imagefiles.image_files import PIXELS_MAX
from tests.cluster_worker.imagefiles.odd_files import (
    DAMAGED,
    EMPTY,
    NOTED,
    OTHER,
    READ,
    SHORT,
    STRANGE,
    UNSUPPORTED,
    odd_files,
)

FILES = odd_files()
# Words of a sentence by the class that it belongs to; the first that fit.
CLASSES = {
    SHORT: r"the file ends too early",
    DAMAGED: r"is damaged and cannot be read as",
    EMPTY: r"an image has at least one",
    STRANGE: r"not an image this app reads|the file is empty|is (a|an|JSON|text)\b.*does not read; "
    r"(export its|export it as|unpack|download|send)",
    UNSUPPORTED: r".",
}
# Words that begin what to do, behind a semicolon or a comma.
WAYS = r"[;,] (so |or )?(save|upload|use|export|unpack|download|send|store|convert|read|choose)\b"


def read(path, content):
    path.write_bytes(content)
    header = formats.read_header(path, "cat", PIXELS_MAX)
    out = np.empty(header.shape, header.dtype)
    return out, header.notes + formats.read_pixels(path, header, out)


def becomes(path, odd):
    """Return the class of what a file becomes, and the sentence of one that is refused."""
    try:
        pixels, notes = read(path, odd.content)
    except Rejected as refused:
        sentence = str(refused)
        assert sentence.startswith("cat: ")
        assert "\n" not in sentence
        found = next(each for each, words in CLASSES.items() if re.search(words, sentence))
        return found, sentence
    if odd.sound and not np.array_equal(pixels, read(path, odd.sound)[0]):
        return OTHER, ""
    return NOTED if notes else READ, ""


@pytest.mark.parametrize("cause", sorted({each.cause for each in FILES}))
def test_an_odd_file_becomes_what_its_cause_allows_and_a_sentence_has_a_way_out(tmp_path, cause):
    for odd in FILES:
        if odd.cause != cause:
            continue
        found, sentence = becomes(tmp_path / "cat", odd)
        assert found in odd.expected, f"{odd.name}: {found} {sentence}"
        assert not sentence or re.search(WAYS, sentence), sentence


def test_no_sound_file_is_called_damaged_and_no_cut_one_is_read(tmp_path):
    counts = Counter()
    for odd in FILES:
        found, _ = becomes(tmp_path / "cat", odd)
        counts[odd.cause, found] += 1
    assert len(FILES) > 140
    damaged = {cause for cause, found in counts if found == DAMAGED}
    assert damaged <= {
        "cut",
        "garbage within the pixels",
        "checksum of the pixels",
        "too few pixels in a whole file",
        "no image",
    }
    assert {found for cause, found in counts if cause == "cut"} <= {SHORT, DAMAGED}
    short = counts["cut", SHORT]
    assert short / (short + counts["cut", DAMAGED]) > 0.85
