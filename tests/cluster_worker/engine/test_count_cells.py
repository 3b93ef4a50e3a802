"""Cells from a raw picture to a table, on ranks: the same table, in bounded memory.

The environment variable `DIP_SIDE` sets another side of the large picture, in pixels.
"""

import csv
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile

from cluster_worker import Engine
from tests.cluster_worker.engine.test_gigapixel import Watch
from tests.cluster_worker.operations.nuclei import SPACING, nuclei
from tests.cluster_worker.operations.test_count_cells import (
    PICTURE,
    assert_tables_equal,
    by_hand,
    count_cells,
)

SIDE = int(os.environ.get("DIP_SIDE", 8192))
# scikit-image takes minutes for others, such as convex hulls.
QUICK = ("label", "area", "bbox", "centroid", "intensity_mean")
# The images between the steps lie in shared memory, and count.
PSS_MIB_MAX = 1536


@pytest.mark.timeout(300)
@pytest.mark.parametrize("ranks", [2, 3])
def test_cells_are_the_same_on_any_number_of_ranks_and_by_windows(ranks, tmp_path, monkeypatch):
    labels, columns = by_hand(PICTURE, "position")
    monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", 0)
    tifffile.imwrite(tmp_path / "in.tif", PICTURE, tile=(64, 64))
    with Engine(ranks=ranks, core=(150, 190), warm=False) as engine:
        found = engine.run(PICTURE, count_cells("position"))
        engine.run_file(tmp_path / "in.tif", tmp_path / "out.tif", count_cells("position"))
    np.testing.assert_array_equal(found.image, labels)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), labels)
    assert_tables_equal(found.tables["regionprops_table"], columns)
    assert_tables_equal(table_in(tmp_path / "out_regionprops_table.csv"), columns)


def table_in(path):
    """Read a table from CSV."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_large_picture_becomes_the_table_of_the_whole_in_bounded_memory(tmp_path):
    picture = nuclei(SIDE)
    tifffile.imwrite(tmp_path / "in.tif", picture, tile=(256, 256), compression="zlib")
    (tmp_path / "recipe.json").write_text(json.dumps(count_cells("position", QUICK)))
    words = ["run", "in.tif", "labels.tif", "--recipe", "recipe.json", "--ranks", "2"]
    began = time.monotonic()
    environment = os.environ | {"PYTHONPATH": str(__file__).partition("/tests/")[0]}
    command = [sys.executable, "-m", "cluster_worker.cli", *words]
    with (
        subprocess.Popen(command, cwd=tmp_path, env=environment) as process,
        Watch(process.pid) as watch,
    ):
        assert process.wait(900) == 0
    seconds = time.monotonic() - began
    table = table_in(tmp_path / "labels_regionprops_table.csv")
    count = table["label"].size
    sys.stdout.write(
        f"\n{SIDE} × {SIDE} pixels: {count} cells found of {(SIDE // SPACING) ** 2} drawn, "
        f"{seconds:.0f} s on 2 ranks, {watch.most:.0f} MiB in all processes\n"
    )
    labels, columns = by_hand(picture, "position", QUICK)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "labels.tif"), labels)
    assert_tables_equal(table, columns)
    assert watch.most <= PSS_MIB_MAX
