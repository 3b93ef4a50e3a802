"""An image of ten gigapixels through the page: sent in two goes, processed, looked at, downloaded.

The environment variable `DIP_SIDE` sets a smaller side, in pixels, for quick runs.
"""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from imagecodecs import zlib_encode
from playwright.sync_api import expect
from scipy import ndimage
from skimage import data

from infra.local.app import LocalApp
from tests.cluster_worker.engine.test_gigapixel import process_tree, pss
from tests.site.pages import add_filter, pointed, print_figure, process, row, until

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

SIDE = int(os.environ.get("DIP_SIDE", 100_000))
TILE = 512
# The default of the filter.
SIGMA = 1.0
NAME = "plate.tif"
SECONDS = 1200
# Tiles of the result that are compared, besides those at the image's border.
SAMPLES = 200
# How far the colours of a picture, which is compressed, may be from the values of the file.
PICTURE_LEVELS = 6


@pytest.fixture(scope="module")
def warm_app(tmp_path_factory):
    """Start an app for this test alone, so that its memory is that of this work."""
    with LocalApp(tmp_path_factory.mktemp("app"), ranks=2) as app:
        yield app


def pattern():
    """Return the tile that the image repeats: what zlib compresses to a seventh, as scans do."""
    picture = data.camera()[:TILE, :TILE]
    return np.where(picture > 90, 200, picture // 16 * 16).astype(np.uint8)


def write(path, tile):
    """Write a tiled BigTIFF of one tile over and over."""
    content = zlib_encode(tile, level=6)
    across = -(-SIDE // TILE)
    tifffile.imwrite(
        path,
        (content for _ in range(across**2)),
        shape=(SIDE, SIDE),
        dtype=np.uint8,
        tile=(TILE, TILE),
        compression="adobe_deflate",
        bigtiff=True,
        photometric="minisblack",
        metadata=None,
    )


def blurred(tile, row_, column):
    """Return what becomes of the tile at a row and a column of tiles, by scipy in double."""
    rows = slice(row_ * TILE, min((row_ + 1) * TILE, SIDE))
    columns = slice(column * TILE, min((column + 1) * TILE, SIDE))
    halo = int(4 * SIGMA + 0.5)
    # Beyond the border of the image lies its last row or column, as the filter has it.
    at = [
        np.arange(each.start - halo, each.stop + halo).clip(0, SIDE - 1) % TILE
        for each in (rows, columns)
    ]
    smooth = ndimage.gaussian_filter(tile[np.ix_(*at)].astype(float), SIGMA, mode="nearest")
    return smooth[halo:-halo, halo:-halo]


class Memory:
    """The most memory of each process below this one while the block runs, in MiB by name."""

    def __init__(self, pid):
        self.pid, self.most = pid, {}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)

    def sample(self):
        while not self.ended.wait(2):
            found = {}
            for pid in process_tree(self.pid)[1:]:
                name = called(pid)
                found[name] = max(found.get(name, 0), pss(pid))
            for name, size in found.items():
                self.most[name] = max(self.most.get(name, 0), size)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def called(pid):
    """Return the short name of a process: its title, its module or its program."""
    try:
        content = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return "ended"
    words = content.replace(b"\0", b" ").decode(errors="replace").split()
    if "-m" in words:
        return words[words.index("-m") + 1]
    kind = next((each for each in words if each.startswith("--type=")), "")
    return " ".join([Path(words[0]).name if words else "kernel", kind]).strip()


def test_ten_gigapixels_are_sent_processed_seen_and_downloaded(page, tmp_path):
    tile, path, began = pattern(), tmp_path / NAME, time.monotonic()

    def say(words):
        print_figure(f"{time.monotonic() - began:5.0f} s  {words}")

    write(path, tile)
    say(f"{SIDE} × {SIDE} pixels in {path.stat().st_size / 1e6:.0f} MB")
    assert path.stat().st_size <= 2e9
    with Memory(os.getpid()) as memory:
        page.get_by_label("Choose images").set_input_files(str(path))
        add_filter(page, "Blurring")
        process(page)
        pause = row(page, NAME).get_by_role("button", name=f"Pause {NAME}")
        expect(pause).to_be_visible(timeout=120_000)
        # At once: an ordinary click waits until the row is still.
        pause.dispatch_event("click")
        expect(row(page, NAME)).to_contain_text("Paused")
        say(f"paused: {row(page, NAME).inner_text()!r}")
        page.reload()
        # The page asks for its batch first.
        expect(row(page, NAME)).to_have_attribute("data-job-state", "awaiting_upload")
        page.get_by_label("Choose images").set_input_files(str(path))
        say("the page was loaded again, and the same file chosen")
        expect(row(page, NAME)).to_have_attribute(
            "data-job-state", "running", timeout=1000 * SECONDS
        )
        say("uploaded, and running")
        expect(row(page, NAME)).to_have_attribute(
            "data-job-state", "succeeded", timeout=1000 * SECONDS
        )
        say("succeeded")
        row(page, NAME).click()
        expect(page.locator(".tiles canvas")).to_have_count(2, timeout=1000 * SECONDS)
        page.get_by_role("button", name="100 %").click()
        page.wait_for_timeout(3000)

        def is_of_the_files():
            (x, y), values = pointed(page, 200, 150)
            smooth = blurred(tile, y // TILE, x // TILE)[y % TILE, x % TILE]
            # They are marked where half of the free disk does not hold all values.
            apart = PICTURE_LEVELS if "≈" in values[0] + values[1] else 0.51
            before, after = (float(value.replace("≈", "").split()[0]) for value in values)
            level = float(tile[y % TILE, x % TILE])
            return abs(before - level) <= apart and abs(after - smooth) <= apart

        until(page, is_of_the_files, "the values of both files under the pointer")
        page.locator(".stage").screenshot(path=os.environ.get("SHOT", str(tmp_path / "shot.png")))
        say("in deep zoom, with the values of both files")
        with page.expect_download(timeout=1000 * SECONDS) as caught:
            row(page, NAME).get_by_role("link", name="Download").first.click()
        saved = caught.value.path()
        say(f"downloaded {saved.stat().st_size / 1e6:.0f} MB")
    assert_result(saved, tile)
    say("the result is right")
    for name, size in sorted(memory.most.items(), key=lambda each: -each[1])[:12]:
        print_figure(f"{size:7.0f} MiB  {name}")


def assert_result(path, tile):
    """Compare tiles of the result, some anywhere and those of the border, with scipy's."""
    across = -(-SIDE // TILE)
    random = np.random.default_rng(0)
    places = {tuple(each) for each in random.integers(0, across, (SAMPLES, 2))}
    places |= {(end, at) for end in (0, across - 1) for at in range(0, across, 9)}
    places |= {(at, end) for end in (0, across - 1) for at in range(0, across, 9)}
    with tifffile.TiffFile(path) as file:
        first = file.pages[0]
        assert (first.shape, first.dtype) == ((SIDE, SIDE), np.uint8)
        for row_, column in places:
            rows = slice(row_ * TILE, min((row_ + 1) * TILE, SIDE))
            columns = slice(column * TILE, min((column + 1) * TILE, SIDE))
            pixels = read(first, rows, columns)
            apart = abs(pixels - blurred(tile, row_, column)).max()
            assert apart < 0.501, f"tile {row_}, {column}: {apart}"


def read(page, rows, columns):
    """Read a window of a tiled page."""
    high, wide = page.tilelength, page.tilewidth
    window = np.empty((rows.stop - rows.start, columns.stop - columns.start), page.dtype)
    across = -(-page.imagewidth // wide)
    for i in range(rows.start // high, -(-rows.stop // high)):
        for j in range(columns.start // wide, -(-columns.stop // wide)):
            at = i * across + j
            page.parent.filehandle.seek(page.dataoffsets[at])
            content = page.parent.filehandle.read(page.databytecounts[at])
            pixels = page.decode(content, at, jpegtables=page.jpegtables)[0][0, ..., 0]
            top, left = i * high, j * wide
            inside = [
                slice(max(span.start, start), min(span.stop, start + length))
                for span, start, length in ((rows, top, high), (columns, left, wide))
            ]
            target = tuple(
                slice(each.start - span.start, each.stop - span.start)
                for each, span in zip(inside, (rows, columns), strict=True)
            )
            source = tuple(
                slice(each.start - start, each.stop - start)
                for each, start in zip(inside, (top, left), strict=True)
            )
            window[target] = pixels[source]
    return window
