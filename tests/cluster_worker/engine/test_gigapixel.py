"""An image of a billion pixels, from file to file, in a few hundred megabytes of memory.

The environment variable `DIP_SIDE` sets a smaller side, in pixels, for quick runs.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage import data, filters, util

from cluster_worker import Engine
from cluster_worker.engine.file_to_file import open_file
from cluster_worker.errors import Cancelled
from cluster_worker.node.views import Views
from tests.app.pictures import assert_rounded

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

SIDE = int(os.environ.get("DIP_SIDE", 32768))
CROP = min(4096, SIDE // 4)
PSS_MIB_MAX = 700
# For the child that draws pictures. The ranks are idle by then; the other tests measure them.
DRAWING_MIB_MAX = 200
SIGMA = 3.0
HALO = 12  # four standard deviations
BINS = 256
# The equalisation amplifies differences of 1e-6 in the blur.
LEVEL_TOLERANCE = 1e-4
GAUSSIAN = {"operation": "gaussian", "sigma": SIGMA, "mode": "nearest"}
CHAIN = [GAUSSIAN, {"operation": "equalize_hist"}, {"operation": "threshold_otsu"}]


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """Write a tiled, deflated BigTIFF of shifted photographs of different brightness."""
    path = tmp_path_factory.mktemp("scan") / "scan.tif"
    picture = data.camera()

    def tiles():
        for number in range((SIDE // 512) ** 2):
            yield np.roll(picture, number, axis=1) // (1 + number % 3) + number % 40

    tifffile.imwrite(
        path,
        tiles(),
        shape=(SIDE, SIDE),
        dtype=np.uint8,
        tile=(512, 512),
        compression="adobe_deflate",
        bigtiff=True,
        photometric="minisblack",
    )
    yield path
    path.unlink()


class Watch:
    """The memory of a process and its descendants, sampled while the block runs.

    Attributes
    ----------
    most : float
        Largest sum of their proportional set sizes so far, in MiB.
    """

    def __init__(self, pid):
        self.pid, self.most = pid, 0.0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)

    def sample(self):
        while not self.ended.wait(0.1):
            self.most = max(self.most, sum(pss(pid) for pid in process_tree(self.pid)))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def process_tree(pid):
    """Return the ids of a process and all its descendants."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                continue
    return found


def pss(pid):
    """Return the proportional set size of a process in MiB; 0 if the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def run_watched(scan, target, steps, capsys):
    """Run the shell command on two ranks, print its time, and return its peak memory in MiB."""
    recipe = target.with_suffix(".json")
    recipe.write_text(json.dumps(steps))
    words = ["run", scan, target, "--recipe", recipe, "--ranks", 2]
    command = [sys.executable, "-m", "cluster_worker.cli", *map(str, words)]
    began = time.monotonic()
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
        Watch(process.pid) as watch,
    ):
        _, error = process.communicate(timeout=2000)
    seconds = time.monotonic() - began
    assert process.returncode == 0, error
    print_figure(
        capsys, f"{SIDE}², {len(steps)} steps: {seconds:.1f} s, {watch.most:.0f} MiB at most (PSS)"
    )
    return watch.most


def print_figure(capsys, figure):
    """Print a figure even though the test passes."""
    with capsys.disabled():
        sys.stdout.write(f"\n{figure}\n")


def blurred(image, top, bottom, left, right):
    """Blur a window of the image, with the pixels around it that the blur reads."""
    rows, columns = (
        slice(max(top - HALO, 0), bottom + HALO),
        slice(max(left - HALO, 0), right + HALO),
    )
    block = util.img_as_float32(image[rows, columns])
    found = filters.gaussian(block, SIGMA)
    return found[top - rows.start :, left - columns.start :][: bottom - top, : right - left]


def bands():
    return [(top, min(top + 1024, SIDE)) for top in range(0, SIDE, 1024)]


def corner():
    """Return a crop that crosses the borders of many tiles but no border of the image."""
    top, left = SIDE // 2 - CROP // 3, SIDE // 4 - CROP // 5
    return top, top + CROP, left, left + CROP


def test_a_gigapixel_is_blurred_in_bounded_memory(scan, tmp_path, capsys):
    target = tmp_path / "blurred.tif"
    assert run_watched(scan, target, [GAUSSIAN], capsys) <= PSS_MIB_MAX
    top, bottom, left, right = corner()
    found = tifffile.imread(target)
    assert_rounded(found[top:bottom, left:right], blurred(tifffile.imread(scan), *corner()))
    print_peer_time(scan, tmp_path / "peer.tif", capsys)


def print_peer_time(scan, target, capsys):
    """Print how long libvips takes for the same blur, if it is installed."""
    vips = shutil.which("vips")
    if vips is None:
        print_figure(
            capsys, "libvips is not installed here, so there is no time of its to compare with"
        )
        return
    options = "[compression=zstd,level=1,tile,bigtiff]"
    began = time.monotonic()
    command = [vips, "gaussblur", str(scan), f"{target}{options}", str(SIGMA)]
    subprocess.run(command, env={"VIPS_CONCURRENCY": "2"}, check=True, timeout=2000)
    print_figure(capsys, f"libvips, two threads, its own pixels: {time.monotonic() - began:.1f} s")


def test_statistics_of_a_gigapixel_are_those_of_the_whole(scan, tmp_path, capsys):
    target = tmp_path / "mask.tif"
    assert run_watched(scan, target, CHAIN, capsys) <= PSS_MIB_MAX
    image = tifffile.imread(scan)
    histogram, edges = whole_histogram(lambda *band: blurred(image, *band, 0, SIDE))
    cdf = histogram.cumsum() / histogram.sum()
    centers = ((edges[:-1] + edges[1:]) / 2).astype(np.float32)

    def equalized(*window):
        block = blurred(image, *window)
        return np.interp(block.ravel(), centers, cdf).reshape(block.shape).astype(np.float32)

    histogram, edges = whole_histogram(lambda *band: equalized(*band, 0, SIDE))
    level = filters.threshold_otsu(hist=(histogram, (edges[:-1] + edges[1:]) / 2))
    expected = equalized(*corner())
    top, bottom, left, right = corner()
    found = tifffile.imread(target)[top:bottom, left:right] > 0
    # A pixel may fall on the other side only where the two blurs may differ by that much.
    off = found != (expected > level)
    assert np.abs(expected[off] - level).max(initial=0) < LEVEL_TOLERANCE


def whole_histogram(band):
    """Return counts and bin edges, as scikit-image's, of a float image made band by band."""
    low = min(band(*each).min() for each in bands())
    high = max(band(*each).max() for each in bands())
    counts = sum(np.histogram(band(*each), BINS, (low, high))[0] for each in bands())
    return counts, np.histogram_bin_edges(np.empty(0, np.float32), BINS, (low, high))


def test_pictures_of_a_gigapixel_are_drawn_in_bounded_memory(scan, tmp_path, capsys):
    target = tmp_path / "inverted.tif"
    with (
        Engine(ranks=2) as engine,
        open_file(engine, scan, target, [{"operation": "invert"}]) as file,
    ):
        file.read()
        file.job.start()
        file.job.wait(1000)
        file.write(target)
        views = Views(file)
        assert views.needed == ("original", "result")
        child = file.decoder.running().process.pid
        with Watch(child) as drawing, Watch(os.getpid()) as watch:
            for image in views.needed:
                began = time.monotonic()
                path = views.make(image, file.decoder, target, tmp_path, lambda: None)
                seconds, size = time.monotonic() - began, path.stat().st_size / 2**20
                print_figure(capsys, f"{SIDE}² {image} in tiles: {seconds:.1f} s, {size:.0f} MiB")
                path.unlink()
    print_figure(
        capsys, f"{drawing.most:.0f} MiB at most (PSS) to draw, {watch.most:.0f} MiB in all"
    )
    assert drawing.most <= DRAWING_MIB_MAX


def test_a_cancelled_gigapixel_frees_the_ranks(scan, tmp_path, capsys):
    with (
        Engine(ranks=2) as engine,
        open_file(engine, scan, tmp_path / "never.tif", [GAUSSIAN]) as file,
    ):
        running = threading.Event()
        file.job.start(lambda done, total: running.set())
        assert running.wait(120)
        began = time.monotonic()
        file.job.cancel()
        with pytest.raises(Cancelled):
            file.job.wait(60)
        small = data.camera()
        assert (engine.run(small, [{"operation": "invert"}]) == 255 - small).all()
        seconds = time.monotonic() - began
    print_figure(capsys, f"the ranks had done the next job {seconds:.2f} s after the cancel")
    assert not list(tmp_path.glob("*"))
