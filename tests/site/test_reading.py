"""What a file is, and how it is read, on the page."""

import io
import os
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from playwright.sync_api import expect
from skimage import data

from tests.cluster_worker.imagefiles.test_dicom import dicom
from tests.site.pages import add_filter, choose, pointed, process, row, succeeds, until

pytestmark = pytest.mark.slow
# Where pictures of the page go, for people.
SHOTS = os.environ.get("SHOTS", "")


def shot(page, name):
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS, f"{name}.png")))


def stack():
    """An OME-TIFF of 5 slices and 3 channels, with names, colours and a pixel size."""
    rows, columns = np.mgrid[:160, :200]
    planes = np.zeros((5, 3, 160, 200), np.uint16)
    for z in range(5):
        for c in range(3):
            middle = 40 + 25 * z, 50 + 40 * c
            far = np.hypot(rows - middle[0], columns - middle[1])
            planes[z, c] = (4000 * np.exp(-((far / 25) ** 2)) + 100).astype(np.uint16)
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        planes,
        ome=True,
        metadata={
            "axes": "ZCYX",
            "PhysicalSizeX": 0.325,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": 0.325,
            "PhysicalSizeYUnit": "µm",
            "Channel": {"Name": ["DAPI", "FITC", "Cy5"], "Color": [65535, 16711935, -16776961]},
        },
    )
    return buffer.getvalue()


def test_a_stack_has_sliders_and_says_what_it_is(page):
    content = stack()
    choose(page, ("cells.ome.tif", "image/tiff", content))
    slices, channels = (page.get_by_role("slider", name=each) for each in ("Slice", "Channel"))
    expect(channels).to_have_attribute("aria-valuetext", "Channel 1 of 3: DAPI")
    expect(row(page, "cells.ome.tif").locator("img.thumb")).to_be_visible()
    page.get_by_role("button", name="How the file is read").click()
    facts = page.locator(".reading-facts")
    for words in ("Intensities", "uint16", "5 slices × 3 channels", "0.325 × 0.325 µm", "FITC"):
        expect(facts).to_contain_text(words)
    shot(page, "stack")
    slices.fill("4")
    channels.fill("2")
    expect(channels).to_have_attribute("aria-valuetext", "Channel 3 of 3: Cy5")
    shot(page, "stack-last")
    page.get_by_label("Slices (z)").fill("2..3")
    page.get_by_label("Channels", exact=True).fill("2")
    add_filter(page, "Blurring")
    process(page)
    succeeds(page, "cells.ome.tif", 120)
    shot(page, "stack-done")


def pyramid(image):
    """A slide as Aperio writes them: the image, a thumbnail in strips, and smaller copies."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        common = {"photometric": "rgb", "compression": "jpeg", "metadata": None}
        words = "Aperio Image Library v12|AppMag = 20|MPP = 0.499"
        file.write(image, tile=(256, 256), description=words, **common)
        file.write(image[::16, ::16], rowsperstrip=16, **common)
        for step in (4, 16):
            level = np.ascontiguousarray(image[::step, ::step])
            file.write(level, tile=(256, 256), **common)
    return buffer.getvalue()


def test_a_slide_is_seen_by_a_smaller_copy_of_its_own_before_it_is_sent(page):
    image = np.tile(data.immunohistochemistry(), (5, 5, 1))
    content = pyramid(image)
    assert len(content) > 3_000_000
    choose(page, ("slide.svs", "image/tiff", content))
    expect(row(page, "slide.svs").locator("img.thumb")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("img", name="slide.svs, before")).to_be_visible()
    # Its other pages are no planes.
    expect(page.get_by_role("slider", name="Page")).to_have_count(0)
    # Places and zoom are those of the slide, values about those of it.
    (x, y), (told,) = pointed(page, 350, 200)
    shown = [int(each) for each in told.removeprefix("≈").split()]
    assert told.startswith("≈")
    near = image[max(0, y - 8) : y + 8, max(0, x - 8) : x + 8].reshape(-1, 3).astype(int)
    assert (shown >= near.min(0) - 25).all()
    assert (shown <= near.max(0) + 25).all()
    assert max(x, y) > 700
    zoom = float(page.locator(".zoom-now").inner_text().removesuffix(" %"))
    box = page.get_by_role("img", name="slide.svs, before").bounding_box()
    assert abs(zoom - 100 * box["width"] / image.shape[1]) <= 1
    # A preview, with lengths scaled as the copy is.
    add_filter(page, "Inversion")
    expect(page.get_by_role("img", name="slide.svs, preview")).to_be_visible()
    shot(page, "slide")


def test_one_plane_of_a_large_stack_is_read_without_the_others(page):
    random = np.random.default_rng(5)
    planes = random.integers(0, 4096, (4, 900, 800)).astype(np.uint16)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, planes, compression="zstd", photometric="minisblack")
    assert buffer.getbuffer().nbytes > 3_000_000
    choose(page, ("stack.tif", "image/tiff", buffer.getvalue()))
    expect(page.get_by_role("img", name="stack.tif, before")).to_be_visible(timeout=60_000)
    page.get_by_role("slider", name="Page").fill("2")

    def is_third():
        (x, y), (told,) = pointed(page, 300, 150)
        return int(told) == planes[2, y, x]

    until(page, is_third, "the values of the third plane")


def test_a_radiograph_of_more_than_a_megabyte_is_seen_before_it_is_sent(page, tmp_path):
    image = np.add.outer(np.arange(900), 3 * np.arange(800)).astype(np.uint16)
    dicom(tmp_path / "hand.dcm", image, BitsStored=12)
    page.get_by_label("Choose images").set_input_files(str(tmp_path / "hand.dcm"))
    expect(row(page, "hand.dcm").locator("img.thumb")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("img", name="hand.dcm, before")).to_be_visible()
    (x, y), (told,) = pointed(page, 300, 150)
    assert int(told) == image[y, x]


def test_a_wrong_option_is_told_in_a_sentence(page):
    content = stack()
    choose(page, ("cells.ome.tif", "image/tiff", content))
    page.get_by_role("button", name="How the file is read").click()
    page.get_by_label("Slices (z)").fill("4-9")
    expect(page.get_by_text("Write numbers such as 2, 1,3 or 4..9.")).to_be_visible()
    page.get_by_label("Value without data").fill("none")
    expect(page.get_by_text("Write a number, nan or spread.")).to_be_visible()
    page.get_by_label("Value without data").fill("-1")
    alert = page.locator(".reading").get_by_role("alert")
    expect(alert).to_contain_text("Value without data: must lie between 0 and 65,535")
    shot(page, "wrong")
    page.get_by_role("button", name="Read as the file says").click()
    expect(alert).to_have_count(0)


def test_what_browsers_do_not_show_is_seen_before_it_is_processed(page):
    image = np.zeros((120, 160, 3), np.uint8)
    image[30:90, 40:120] = 220, 120, 30
    choose(page, ("scan.jp2", "image/jp2", imagecodecs.jpeg2k_encode(image, level=0)))
    expect(row(page, "scan.jp2").locator("img.thumb")).to_be_visible(timeout=40_000)
    expect(page.locator(".stage canvas, .stage img").first).to_be_visible()
    add_filter(page, "Inversion")
    shot(page, "jp2")
