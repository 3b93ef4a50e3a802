"""The list of formats for API and page is that of the records, and tells files alike."""

import pytest

from cluster_worker.imagefiles import listing
from cluster_worker.imagefiles.formats import FORMATS
from cluster_worker.imagefiles.strangers import STRANGERS
from config.contract import formats

HEADS = [
    b"\xff\xd8\xff\xe0",
    b"II*\0" + bytes(124) + b"DICM",
    bytes(128) + b"DICM",
    b"P5\n4 4\n",
    b"\xff\x0a",
    b"%PDF-1.7",
    b"PK\x03\x04" + bytes(100),
    b"no image at all",
    b"",
]


def test_the_list_is_that_of_the_records():
    assert formats.FILE.read_text() == listing.as_text(), "run: make generate"


@pytest.mark.parametrize("head", HEADS)
def test_a_file_is_told_by_the_list_as_by_the_records(head):
    by_record = [form.title for form in FORMATS.values() if form.magic.match(head)]
    by_list = [each.title for each in formats.known().read if each.magic.match(head)]
    assert by_list == by_record
    named = next((each for each in formats.known().strangers if each.magic.match(head)), None)
    pattern = next(((name, way) for name, way, magic in STRANGERS if magic.match(head)), None)
    assert (named and (named.title, named.way)) == pattern


def test_no_two_formats_share_an_ending():
    endings = [each for form in FORMATS.values() for each in form.extensions]
    assert len(set(endings)) == len(endings)
