"""The tables of a stack: rows come plane by plane, and are joined once."""

import numpy as np
import pytest

from cluster_worker import Rejected
from cluster_worker.engine.tables import JoinedTables, Table


def rows(plane):
    """Return three rows of a plane, and the place of the plane."""
    return Table({"area": np.arange(3) + 10.0 * plane}), {"plane": plane}


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
