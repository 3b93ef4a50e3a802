"""The tables of a stack: rows come plane by plane, and are joined once."""

from types import SimpleNamespace

import numpy as np
import pytest

from cluster_worker import Rejected
from cluster_worker.engine.job import EngineJob
from cluster_worker.engine.tables import JoinedTables, Table
from cluster_worker.pixels.shared_memory import Segments


def rows(plane):
    """Return three rows of a plane, and the place of the plane."""
    return Table({"area": np.arange(3) + 10.0 * plane}), {"plane": plane}


def task_of(*tables):
    """Return what a job has to know of its task to count its tables."""
    return SimpleNamespace(tables=tables)


def test_the_rows_of_planes_are_joined_in_their_order():
    joined = JoinedTables()
    for plane in (1, 2, 3):
        joined.add("cells", *rows(plane))
    joined.add("levels", *rows(7))
    found = joined.tables
    assert list(found) == ["cells", "levels"]
    np.testing.assert_array_equal(found["cells"]["plane"], [1, 1, 1, 2, 2, 2, 3, 3, 3])
    np.testing.assert_array_equal(found["cells"]["area"], [10, 11, 12, 20, 21, 22, 30, 31, 32])
    np.testing.assert_array_equal(found["levels"]["plane"], [7, 7, 7])


def test_rows_are_counted_as_they_come_and_joined_once():
    joined = JoinedTables()
    for plane in (1, 2):
        joined.add("cells", *rows(plane))
        assert joined.nbytes == plane * 48
    first, second = joined.tables, joined.tables
    assert first["cells"] is second["cells"]
    # The parts are no longer in memory beside the whole.
    assert len(joined.parts["cells"]) == 1
    assert joined.nbytes == 96


def test_a_plane_with_other_columns_is_refused():
    joined = JoinedTables()
    joined.add("cells", *rows(1))
    with pytest.raises(Rejected, match="other columns than that of the first plane"):
        joined.add("cells", Table({"length": np.arange(3)}), {"plane": 2})


def test_tables_that_were_removed_already_take_no_memory(tmp_path):
    memory = Segments(tmp_path)
    table = memory.folder / "table"
    task = task_of(str(table))
    job = EngineJob(task, None, memory, cores=1, private_bytes=0)
    table.write_bytes(bytes(100))
    job.remove_tables()
    # On another thread the ranks' last words come later.
    table.write_bytes(bytes(100))
    job.count_tables()
    assert memory.taken == 0
    # Closing twice gives nothing back twice.
    job.remove_tables()
    assert memory.taken == 0


def test_tables_are_counted_until_they_are_removed(tmp_path):
    memory = Segments(tmp_path)
    written, absent = memory.folder / "written", memory.folder / "absent"
    written.write_bytes(bytes(100))
    job = EngineJob(task_of(str(written), str(absent)), None, memory, 1, 0)
    job.done.set_result(None)
    assert memory.taken == 100
    job.remove_tables()
    job.remove_tables()
    assert (memory.taken, written.exists()) == (0, False)
