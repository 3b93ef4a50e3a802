"""Every operation that gives a table has a picture of what it finds."""

import numpy as np
import pytest

from cluster_worker import table_pictures
from cluster_worker.operations import OPERATIONS


def test_every_table_has_its_picture_and_nothing_else_has():
    tables = {name for name, each in OPERATIONS.items() if each.gives == "table"}
    assert table_pictures.SHOWN.keys() == tables


@pytest.mark.parametrize("name", table_pictures.SHOWN)
def test_a_picture_shows_what_was_found_on_the_image(name):
    found = np.asarray(table_pictures.picture(name))
    side = table_pictures.SIDE
    assert found.shape == (side, side, 3)
    drawn = (found == table_pictures.YELLOW).all(-1) | (found == table_pictures.BLUE).all(-1)
    assert drawn.sum() > 100
