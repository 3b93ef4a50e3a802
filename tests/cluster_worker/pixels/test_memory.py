"""The memory of this process and host, and arrays in files instead of it."""

import os

import numpy as np
import pytest

from cluster_worker.pixels.memory import array_on_disk, available_bytes, private_bytes


def test_an_array_on_disk_takes_no_private_memory_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = private_bytes()
    array = array_on_disk((1 << 10, 1 << 10, 4), "float32")
    array[...] = 7
    assert private_bytes() - before < array.nbytes // 4
    assert list(tmp_path.iterdir()) == []
    assert np.all(array == 7)
    assert array_on_disk((0, 5), "float16").shape == (0, 5)


def test_a_disk_that_is_too_small_is_named_with_the_size(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(OSError, match=rf"8388608\.0 GiB in {tmp_path}"):
        array_on_disk((1 << 53,), "uint8")


def test_the_memory_that_is_left_is_a_part_of_the_hosts():
    assert 0 < available_bytes() < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
