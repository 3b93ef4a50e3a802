"""Cells from a raw picture to a table, on ranks: the same table, in bounded memory.

The environment variable `DIP_SIDE` sets another side of the large picture, in pixels: 32768 for a
million cells. The same job, written by hand for dask-image and scikit-image, is measured beside
ours.
"""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from cluster_worker import Engine
from tests.cluster_worker.engine.cells_by_scikit_image import (
    PROPERTIES,
    at_border,
    smoothed,
    wrong_cells,
)
from tests.cluster_worker.engine.test_gigapixel import Watch
from tests.cluster_worker.operations.nuclei import BAND, Field
from tests.cluster_worker.operations.test_count_cells import (
    PICTURE,
    assert_tables_equal,
    by_hand,
    count_cells,
)

SIDE = int(os.environ.get("DIP_SIDE", 8192))
# scikit-image computes pictures up to this side as a whole.
WHOLE_MAX = 8192
CROP = min(4096, SIDE // 2)
# The crop holds seams of tiles and of dask's blocks, but no corner of it lies on one.
CROPPED = (slice((SIDE - CROP) // 2 + 7, (SIDE + CROP) // 2 + 7),) * 2
TILE = 256
DASK_BLOCK, DASK_MARGIN = 2048, 32
PSS_MIB_MAX = 1024


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


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    """Draw a large picture of nuclei that are known, band by band, into a tiled file."""
    folder = tmp_path_factory.mktemp("field")
    drawn = Field.of(SIDE)
    rows = (band[i : i + TILE] for band in drawn.bands() for i in range(0, BAND, TILE))
    tiles = (row[:, i : i + TILE] for row in rows for i in range(0, SIDE, TILE))
    tifffile.imwrite(
        folder / "in.tif",
        tiles,
        shape=(SIDE, SIDE),
        dtype=np.uint16,
        tile=(TILE, TILE),
        compression="zlib",
        compressionargs={"level": 1},
        bigtiff=True,
        photometric="minisblack",
    )
    yield folder, drawn
    shutil.rmtree(folder)


@pytest.mark.long
@pytest.mark.timeout(14_400)
def test_a_large_picture_becomes_the_table_of_the_whole_in_bounded_memory(field):
    folder, drawn = field
    command = [sys.executable, "-m", "cluster_worker.cli", "run", "in.tif", "labels.tif"]
    command += ["--recipe", "recipe.json", "--ranks", "2"]
    (folder / "recipe.json").write_text(json.dumps(count_cells("position", PROPERTIES)))
    seconds, most = run_watched(folder, command)
    say(f"{SIDE} × {SIDE} pixels: {seconds:.0f} s on 2 ranks, {most:.0f} MiB in all processes")
    labels = unpacked(folder, "labels.tif", np.uint32)
    table = table_in(folder / "labels_regionprops_table.csv")
    middles = np.stack([drawn.rows, drawn.columns]).round().astype(int).clip(0, SIDE - 1)
    hits = np.bincount(labels[tuple(middles)], minlength=int(table["label"].max()) + 1)[1:]
    say(
        f"{table['label'].size} cells found of {drawn.rows.size} drawn; {(hits == 1).sum()} hold "
        f"the middle of one that was drawn, {(hits > 1).sum()} of several, "
        f"{(hits[table['label'].astype(int) - 1] == 0).sum()} of none"
    )
    assert most <= PSS_MIB_MAX
    whole = smoothed(unpacked(folder, "in.tif", np.uint16), folder / "smooth.bin")
    assert_crop_equal(whole, labels, table)
    if SIDE <= WHOLE_MAX:
        expected = whole.labels("position")
        np.testing.assert_array_equal(labels, expected)
        assert_tables_equal(table, whole.table(expected))
        say(f"equal to the whole by scikit-image, {table['label'].size} rows")
        say_differences(whole, expected)
    say_dask(folder, whole)


def assert_crop_equal(whole, labels, table):
    """Compare the cells of a crop with those that scikit-image finds there.

    Cells that touch the crop's border are left out, since the crop cuts them.
    """
    top, left = (at.start for at in CROPPED)
    crop = whole.crop(CROPPED)
    expected = crop.labels("position")
    inside = np.setdiff1d(np.unique(expected), [0, *at_border(expected)])
    wrong = np.intersect1d(wrong_cells(labels[CROPPED].astype(np.int64), expected), inside)
    assert wrong.size == 0, f"{wrong.size} of {inside.size} cells of the crop have other pixels"
    rows = {name: each[inside - 1] for name, each in crop.table(expected).items()}
    first = {cell: at for at, cell in enumerate(expected.ravel()) if cell}
    at = np.array([first[cell] for cell in inside])
    numbers = labels[top + at // CROP, left + at % CROP]
    found = {name: each[np.searchsorted(table["label"], numbers)] for name, each in table.items()}
    for name, offset in (("bbox-0", top), ("bbox-1", left), ("bbox-2", top), ("bbox-3", left)):
        rows[name] = rows[name] + offset
    rows |= {"label": numbers, "centroid-0": rows["centroid-0"] + top}
    rows |= {"centroid-1": rows["centroid-1"] + left}
    assert_tables_equal(found, {name: rows[name] for name in found})
    say(f"equal to a crop of {CROP} × {CROP} by scikit-image, {inside.size} rows")


def say_differences(whole, expected):
    """Print how scikit-image differs between crop and whole, and between orders of ties."""
    heap = whole.labels("heap")
    crop = whole.crop(CROPPED).labels("heap")
    inside = np.setdiff1d(np.unique(crop), [0, *at_border(crop)])
    apart = np.intersect1d(wrong_cells(heap[CROPPED], crop), inside).size
    say(f"scikit-image alone: {apart} of {inside.size} cells differ between crop and whole")
    ties = wrong_cells(expected, heap).size
    say(f"ties by position give {ties} of {heap.max()} cells other pixels than ties by heap")


def say_dask(folder, whole):
    """Print what dask-image needs for the same, and how many cells of the crop it gets wrong."""
    script = Path(__file__).parents[2] / "benchmarks" / "cells_by_dask.py"
    try:
        seconds, most = run_watched(folder, [sys.executable, script, "in.tif", "dask.npy"])
    except subprocess.CalledProcessError as error:
        if error.returncode != -signal.SIGKILL:
            raise
        say("dask-image by hand: killed, since the machine had no memory left for it")
        return
    found = np.load(folder / "dask.npy", mmap_mode="r")[CROPPED].astype(np.int64)
    expected = whole.crop(CROPPED).labels("heap")
    inside = np.setdiff1d(np.unique(expected), [0, *at_border(expected)])
    wrong = np.intersect1d(wrong_cells(found, expected), inside)
    boxes = ndimage.find_objects(expected)
    seams = [cell for cell in wrong if is_at_seam(boxes[cell - 1])]
    say(
        f"dask-image by hand: {seconds:.0f} s, {most:.0f} MiB; of {inside.size} cells of the crop "
        f"{wrong.size} have other pixels than by scikit-image, {len(seams)} of them at seams"
    )


def is_at_seam(box):
    """Return whether a cell of the crop is near the border between two of dask's blocks."""
    return any(
        span.start - DASK_MARGIN < seam - crop.start < span.stop + DASK_MARGIN
        for span, crop in zip(box, CROPPED, strict=True)
        for seam in range(DASK_BLOCK, SIDE, DASK_BLOCK)
    )


def run_watched(folder, command):
    """Run a command; return its seconds and the most MiB of all its processes.

    Raises
    ------
    subprocess.CalledProcessError
        If it fails.
    """
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    began = time.monotonic()
    with (
        subprocess.Popen(list(map(str, command)), cwd=folder, env=environment) as process,
        Watch(process.pid) as watch,
    ):
        code = process.wait(7200)
    if code:
        raise subprocess.CalledProcessError(code, command)
    return time.monotonic() - began, watch.most


def unpacked(folder, name, dtype):
    """Return the image of a tiled file as a mapped file of bare pixels, which needs no memory."""
    pixels = np.memmap(folder / f"{name}.bin", dtype, "w+", shape=(SIDE, SIDE))
    with tifffile.TiffFile(folder / name) as file:
        for tile, place, shape in file.pages[0].segments():
            rows, columns = (
                slice(at, at + n) for at, n in zip(place[2:4], shape[1:3], strict=True)
            )
            pixels[rows, columns] = tile[0, ..., 0]
    return pixels


def say(line):
    sys.stdout.write(f"\n{line}\n")
    sys.stdout.flush()
