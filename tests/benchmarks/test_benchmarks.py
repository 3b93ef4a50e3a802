"""The benchmarks themselves: each runs on tiny images and fills the page's columns."""

import json
import math
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks import clock, crowd, neighbours, peer, rates, report, report_neighbours
from tests.benchmarks.candidates import SERIAL
from tests.benchmarks.cases import BEST, CASES
from tests.benchmarks.clock import interleave
from tests.benchmarks.pixels import Expected
from tests.cluster_worker.operations import reference

pytestmark = pytest.mark.slow

CASE = {each.name: each for each in CASES}
# With one thread each; two threads would only start the same libraries again.
LIBRARIES = [(name, 1) for name in ("scikit-image", "OpenCV", "libvips", "dask", "Pillow")]


def rows_of(folder, name):
    return json.loads((folder / "measured.json").read_text())[name]["rows"]


def cells_of(page, first):
    """Return the cells of the row whose first cell is `first`."""
    lines = [line for line in page.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in lines[0].strip("|").split("|")]


def test_operations_are_compared_by_time_pixels_and_memory(tmp_path, monkeypatch):
    # Any run fills the columns; true figures need longer turns and more of them.
    monkeypatch.setattr(clock, "TURN_SECONDS", 0.01)
    monkeypatch.setattr(clock, "QUICK_ROUNDS", 2)
    cases = [CASE["gaussian σ=2 RGB"], CASE["median 3×3"], CASE["otsu"]]
    benchmarks.measure("operations", tmp_path, size="tiny", cases=cases, libraries=LIBRARIES)
    blur, median, otsu = rows_of(tmp_path, "operations")
    for row in (blur, median, otsu):
        assert {"scikit-image", "OpenCV 1", "resident", "end to end"} <= set(row["seconds"])
        assert all(seconds > 0 for seconds in row["seconds"].values())
        assert row["pixels"]["resident"] == row["pixels"]["scikit-image"] == 0
        assert set(row["memory"]) == {*row["pixels"]}
    assert blur["pixels"]["OpenCV 1"] > 0
    assert median["pixels"]["OpenCV 1"] == median["pixels"]["libvips 1"] == 0
    assert "Pillow" not in otsu["seconds"]
    page = (tmp_path / "README.md").read_text()
    assert len(cells_of(page, "median 3×3")) == len(cells_of(page, "otsu")) == 10
    assert cells_of(page, "otsu")[-1] == "–"
    assert (tmp_path / "operations.svg").stat().st_size < 200_000


def test_the_first_run_of_a_turn_is_cold_and_not_counted():
    runs = []

    def candidate(cold):
        runs.append(cold)
        time.sleep(0.03)
        return 9.0 if cold else 1.0

    taken = interleave({"one": candidate, "other": candidate}, 2, 60.0)
    assert taken.seconds == {"one": 1.0, "other": 1.0}
    assert taken.cold == {"one": 9.0, "other": 9.0}
    turns = sum(runs)
    assert runs[0]
    assert turns < len(runs) - turns


def test_serial_scikit_image_computes_in_every_run(monkeypatch):
    calls = []

    def counted(image):
        calls.append(image)
        return image.copy()

    monkeypatch.setattr(reference, "reference_of", lambda _: counted)
    work = peer.work_of("scikit-image", None, {"steps": [{"operation": "median"}]})
    image = np.zeros((4, 4), np.uint8)
    for _ in range(3):
        work(image)
    assert len(calls) == 3


# What a user would write, for a few operations of the page.
PLAIN = {
    "sobel": "filters.sobel(image)",
    "otsu": "image > filters.threshold_otsu(image)",
    "equalize_hist": "exposure.equalize_hist(image)",
}
LOOP = """
from statistics import median
from time import perf_counter
from skimage import exposure, filters
from tests.benchmarks.images import SHAPES, photograph

def seconds():
    began = perf_counter()
    {work}
    return perf_counter() - began

image = photograph(*SHAPES["24 MP"], colours=False)
seconds()
print(median(seconds() for _ in range(7)))
"""


def plain_loop(name):
    """Return the median seconds of a plain loop in a fresh process."""
    command = [sys.executable, "-c", LOOP.format(work=PLAIN[name])]
    return float(subprocess.run(command, stdout=subprocess.PIPE, timeout=300, check=True).stdout)


@pytest.mark.long
def test_serial_times_are_those_of_a_plain_loop_within_a_quarter(tmp_path):
    # The loop runs before and after, because the machine itself may become faster or slower.
    before = {name: plain_loop(name) for name in PLAIN}
    cases = [CASE[name] for name in PLAIN]
    libraries = [("scikit-image", 1), ("OpenCV", 2), ("dask", 2)]
    benchmarks.measure("operations", tmp_path, cases=cases, libraries=libraries)
    after = {name: plain_loop(name) for name in PLAIN}
    for row in rows_of(tmp_path, "operations"):
        plain = sorted((before[row["operation"]], after[row["operation"]]))
        assert 0.75 * plain[0] <= row["seconds"][SERIAL] <= 1.25 * plain[1]


@pytest.mark.long
def test_the_best_of_other_libraries_are_compared_on_one_thread_and_two(tmp_path):
    cases = [each for each in BEST if each.name in ("label", "isotropic_erosion 10")]
    benchmarks.measure(
        "best",
        tmp_path,
        cases=cases,
        libraries=[("scikit-image", 1), ("cc3d", 1), ("edt", 1), ("edt", 2)],
        shape=(96, 144),
    )
    label, erosion = rows_of(tmp_path, "best")
    assert set(label["seconds"]) == {"scikit-image", "cc3d", "ours 1", "ours 2"}
    assert {"edt 1", "edt 2"} <= set(erosion["seconds"])
    assert all(share == 0 for share in (label["pixels"] | erosion["pixels"]).values())
    page = (tmp_path / "README.md").read_text()
    assert "cc3d" in cells_of(page, "label")[-1]
    assert len(cells_of(page, "isotropic_erosion 10")) == 6


@pytest.mark.long
def test_tables_of_regions_are_measured_faster_than_by_other_libraries(tmp_path):
    benchmarks.measure("regions", tmp_path, side=1024)
    for row in rows_of(tmp_path, "regions"):
        own = row["seconds"].pop("ours 1")
        assert len(row["seconds"]) == 3
        assert own < min(row["seconds"].values())
        assert row["off"] < 1e-6
    page = (tmp_path / "README.md").read_text()
    assert len(cells_of(page, "common properties")) == 6


@pytest.mark.long
def test_the_other_benchmarks_fill_their_tables_and_leave_what_was_measured_before(tmp_path):
    shapes = ((64, 64), (96, 96))
    benchmarks.measure("others", tmp_path, names=["farid", "label", "clear_border"], shapes=shapes)
    benchmarks.measure("files", tmp_path, size="tiny")
    benchmarks.measure("latency", tmp_path, rounds=3)
    benchmarks.measure("scaling", tmp_path, size="tiny", names=["otsu"], worlds=(1, 2))
    others = [row["operation"] for row in rows_of(tmp_path, "others")]
    assert others == ["farid", "label", "clear_border"]
    for row in rows_of(tmp_path, "files"):
        assert set(row["seconds"]) == {"script", "ours", "vips 1", "vips 2"}
    page = (tmp_path / "README.md").read_text()
    for first in ("farid", "JPEG", "PNG", "TIFF", "invert", "otsu", "256"):
        assert all(cells_of(page, first))


@pytest.mark.long
def test_neighbours_are_attacked_and_replaced_and_their_memory_is_counted():
    rows = neighbours.run(print, many_ranks=(1, 2), rounds=2, attack_seconds=1.0)
    page = report_neighbours.neighbours({"machine": "a machine", "date": "today", "rows": rows})
    assert len(cells_of(page, "seat")) == len(cells_of(page, "world")) == 4
    assert len(cells_of(page, "a job of one rank")) == 8
    one, two = rows["memory"]
    assert one["total"] < two["total"]
    assert {"engine", "forkserver", "rank", "seat"} <= set(two["by_kind"])
    for victim in rows["attacked"].values():
        assert victim["attacks"] > 1
        assert victim["next"]["most"] < neighbours.WAIT_SECONDS


@pytest.mark.long
def test_visitors_are_attacked_and_crowded_and_lose_no_image():
    less = {"attack_seconds": 1.0, "rounds": 2, "wide_jobs": 1, "tiny_jobs": 40, "decoders": 3}
    found = crowd.run(print, **less)
    assert found["attacked"]["attacks"] > 0
    assert found["decoders"]["killed"] == 3
    assert set(found["decoders"]["states"]) == {"succeeded"}
    assert found["crowd"]["sent"] == 40
    assert "Images while 3 decoders were killed" in "\n".join(report_neighbours.in_app(found))


@pytest.mark.long
def test_calibration_writes_a_module_that_gives_its_rates(tmp_path, monkeypatch):
    monkeypatch.setattr(rates, "TURNS", 1)
    path = tmp_path / "rates.py"
    [found] = rates.run(tmp_path, print, names=["gaussian", "label"], path=path)
    module = {}
    exec(path.read_text(), module)  # noqa: S102 - written a line ago
    measured = module["MEASURED"]
    for name in ("job", "extra_rank", "tile", "synchronization"):
        assert math.isclose(getattr(measured, name), found[name], rel_tol=0.01)
    assert set(measured.operations) == {"gaussian", "label"}
    assert all(rate > 0 for pair in measured.operations.values() for rate in pair)
    assert measured.bytes_per_second > 0


def test_pixels_are_scikit_images_but_for_one_level_at_an_edge_of_rounding():
    image = np.array([[0.1, 0.2], [10.5 / 255, 0.4]])
    expected = Expected.of(image)
    levels = np.rint(image * 255).astype(np.uint8)
    assert expected.share_of_others(levels) == expected.share_of_others(image) == 0
    assert expected.share_of_others(image.astype(np.float32)) == 0
    levels[1, 0] = 11
    assert expected.share_of_others(levels) == 0
    levels[1, 0] = 12
    assert expected.share_of_others(levels) == 0.25
    levels[0, 1] += 1
    assert expected.share_of_others(levels) == 0.5
    assert expected.share_of_others(image + 2e-6) == 1
    assert expected.share_of_others(levels[:1]) == 1


def test_the_page_names_what_misses_its_target():
    row = {"shape": [9, 9], "target": 2, "in_ranks": 0.5, "moved": 3e6, "bytes_per_second": 1e8}
    rows = [
        row | {"operation": name, "seconds": {"scikit-image": serial, "resident": 1}}
        for name, serial in (("fast", 3), ("slow", 1))
    ]
    notes = report.notes_on(rows)
    assert "Below target: slow: 1000 ms (the busiest rank worked for 500 of it" in notes
    assert "move its 3 MB in 30)" in notes
    assert "No target is missed." in report.notes_on(rows[:1])
