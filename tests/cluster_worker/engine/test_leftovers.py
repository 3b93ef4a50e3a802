"""Files that killed worlds of MPI have left are removed, and no others."""

import mmap
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from cluster_worker.engine import dispatch
from cluster_worker.engine.dispatch import Dispatcher
from cluster_worker.engine.launch import mpiexec
from cluster_worker.engine.leftovers import (
    DESCRIPTIONS,
    OLD_SECONDS,
    READ_SECONDS,
    TEMPORARY,
    sweep_descriptions,
    sweep_shared_memory,
)


@pytest.fixture
def left(tmp_path):
    """Return a function that makes a file of a given age in seconds."""

    def make(name, age=2 * OLD_SECONDS):
        path = tmp_path / name
        path.write_bytes(bytes(mmap.PAGESIZE))
        then = time.time() - age
        os.utime(path, (then, then))
        return path

    return make


def test_a_file_that_no_process_has_mapped_is_removed(left, tmp_path):
    path = left("mpich_shm_AbCdEf")
    sweep_shared_memory(tmp_path)
    assert not path.exists()


def test_the_end_of_an_engine_removes_them_as_its_start_does(left, tmp_path, monkeypatch):
    path = left("mpich_shm_AbCdEf")
    monkeypatch.setattr(dispatch, "sweep_shared_memory", lambda: sweep_shared_memory(tmp_path))
    Dispatcher.join_starters(SimpleNamespace(starters={}))
    assert not path.exists()


def test_files_of_a_world_that_runs_or_starts_and_of_others_stay(left, tmp_path):
    mapped, opened, fresh = left("mpich_shm_a"), left("mpich_shm_b"), left("mpich_shm_c", 0.0)
    other = left("somebody")
    with mapped.open("r+b") as file:
        kept = mmap.mmap(file.fileno(), 0)
    with kept, opened.open("rb"):
        sweep_shared_memory(tmp_path)
    assert mapped.exists()
    assert opened.exists()
    assert fresh.exists()
    assert other.exists()


def test_descriptions_for_ranks_are_removed_once_no_rank_can_need_them(left, tmp_path):
    read = left("hydra_hwloc_xmlfile_a", 2 * READ_SECONDS)
    fresh = left("hydra_hwloc_xmlfile_b", READ_SECONDS / 2)
    other = left("somebody")
    sweep_descriptions(tmp_path)
    assert not read.exists()
    assert fresh.exists()
    assert other.exists()


def test_mpiexec_names_its_descriptions_so():
    """The name stands in mpiexec itself: with another one, nothing would be removed."""
    name = f"{TEMPORARY}/{DESCRIPTIONS.removesuffix('*')}".encode()
    assert name in Path(mpiexec()).resolve().read_bytes()
