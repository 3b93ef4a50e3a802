"""Pictures of what browsers do not show well: TIFF, 16 bits, and very large images."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from skimage import data

from tests.app import pictures
from tests.client import Client
from tests.site.pages import add_filter, choose, findings, pointed, process, row, succeeds, until

pytestmark = pytest.mark.slow

ORANGE = (200, 90, 20)
# Largest error of a colour in levels, after JPEG was applied twice.
OFF = 8


def wall():
    """Return a large orange image, slightly darker to the right."""
    shade = np.linspace(1, 0.9, 6000)[None, :, None]
    return np.broadcast_to(np.rint(shade * ORANGE).astype(np.uint8), (5000, 6000, 3))


def colour_at(page, across, down):
    """Return the colour of the stage at a point, given as shares of its width and height."""
    shot = np.asarray(Image.open(io.BytesIO(page.locator(".stage").screenshot())).convert("RGB"))
    return shot[int(down * shot.shape[0]), int(across * shot.shape[1])].astype(int)


def ranges_of(page):
    """Record the status and range of each request for pictures in tiles."""
    asked = []
    page.on(
        "response",
        lambda answer: (
            asked.append((answer.status, answer.request.headers.get("range")))
            if answer.url.endswith(".tiles")
            else None
        ),
    )
    return asked


def becomes(page, across, down, colour):
    """Wait until a point of the stage has a colour, but for its shade: tiles come one by one."""
    until(
        page,
        lambda: abs(colour_at(page, across, down) - colour).max() <= 20 + OFF,
        f"the colour {colour} at {across}, {down}",
    )


def is_drawn(page):
    """Wait until both pictures have their canvas."""
    expect(page.locator(".tiles canvas")).to_have_count(2, timeout=60_000)


def values_at(page, across, down):
    """Return the place, and the values before and after, at a point of the stage."""
    place, values = pointed(page, across, down)
    return place, *([int(each) for each in text.split()] for text in values)


@pytest.fixture(scope="module")
def batch(app):
    """Invert a large image through the app; return its batch."""
    with Client(app.url) as client:
        steps = [{"operation": "invert"}]
        batch, _ = client.submit(steps, [("wall.jpg", "image/jpeg", pictures.jpeg(wall()))])
        client.wait(batch, 1)
        return batch


@pytest.fixture
def deep(page, app, batch):
    """Open the page with that image; return the ranges that it requests."""
    asked = ranges_of(page)
    # Go by way of another page, since a change of the fragment alone does not reload the page.
    page.goto("about:blank")
    page.goto(f"{app.url}/#batch={batch}")
    is_drawn(page)
    return asked


def test_a_tiff_of_sixteen_bits_shows_before_and_after(page):
    image = data.coffee()[:300, :400].astype(np.uint16) * 16 + 300
    choose(page, ("coffee.tif", "image/tiff", pictures.tiff(image)))
    add_filter(page, "Inversion")
    process(page)
    succeeds(page, "coffee.tif")
    expect(page.get_by_role("img", name="coffee.tif, before")).to_be_visible()
    expect(page.get_by_role("img", name="coffee.tif, after")).to_be_visible()
    mark = page.locator(".stretch-mark")
    expect(mark).to_contain_text("Before: contrast stretched (")
    # Above the picture, where it can be read.
    assert mark.evaluate(
        """each => {
            const box = each.getBoundingClientRect();
            return document.elementFromPoint(box.x + 9, box.y + 9) === each;
        }"""
    )
    (x, y), before, after = values_at(page, 200, 150)
    assert after == [65_535 - value for value in before]
    assert before == image[y, x].tolist()
    page.get_by_role("button", name="Histogram").click()
    white = page.get_by_role("slider", name="White of Before")
    highest = float(white.get_attribute("aria-valuemax"))
    assert image.max() <= highest <= image.max() + 256
    white.press("End")
    expect(mark).to_contain_text(f"{highest:,.0f}")
    page.reload()
    # After the reload the page no longer has the file itself, but it shows the stored picture.
    expect(page.get_by_role("img", name="coffee.tif, before")).to_be_visible()
    page.get_by_role("radio", name="After").check()
    expect(page.get_by_role("slider", name="Divider between before and after")).to_be_hidden()


def test_a_large_image_opens_in_tiles_that_come_by_range(page):
    ranges = ranges_of(page)
    choose(page, ("wall.jpg", "image/jpeg", pictures.jpeg(wall())))
    add_filter(page, "Inversion")
    process(page)
    succeeds(page, "wall.jpg")
    is_drawn(page)
    assert {status for status, _ in ranges} == {206}
    assert all(re.fullmatch(r"bytes=\d+-\d+", asked) for _, asked in ranges)
    # Each picture has 120 tiles at full zoom. None of them is needed while all of it is shown.
    assert 0 < len(ranges) < 60
    expect(page.get_by_role("img", name="wall.jpg, before")).to_be_visible()
    expect(page.get_by_role("img", name="wall.jpg, after")).to_be_visible()
    becomes(page, 0.3, 0.5, ORANGE)
    becomes(page, 0.7, 0.3, 255 - np.array(ORANGE))


def test_a_large_image_is_split_zoomed_and_moved_as_any_other(page, deep):
    divider = page.get_by_role("slider", name="Divider between before and after")
    divider.press("End")
    expect(divider).to_have_attribute("aria-valuenow", "99")
    becomes(page, 0.7, 0.3, ORANGE)
    page.get_by_role("radio", name="After").check()
    becomes(page, 0.3, 0.5, 255 - np.array(ORANGE))
    before = len(deep)
    expect(page.locator(".overview")).to_be_hidden()
    page.get_by_role("button", name="100 %").click()
    expect(page.locator(".overview")).to_be_visible()
    stage = page.get_by_role("group", name="Picture")
    # Not of the JPEG tiles, but the values of the files.
    (x, y), original, result = values_at(page, 100, 100)
    # The result is a JPEG, as the original is.
    assert abs(np.array(result) - (255 - np.array(original))).max() <= OFF
    file = np.asarray(Image.open(io.BytesIO(pictures.jpeg(wall()))))
    assert abs(np.array(original) - file[y, x]).max() <= 1
    stage.press("ArrowRight")
    assert pointed(page, 100, 100)[0] == (x + 60, y)
    until(page, lambda: len(deep) > before, "no tile of the full size was asked for")
    # A press in the overview moves the view there.
    corner = page.locator(".overview").bounding_box()
    page.mouse.click(corner["x"] + 3, corner["y"] + 3)
    assert pointed(page, 2, 2)[0] == (2, 2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_at_a_picture_in_tiles(page, deep, scheme):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.get_by_role("button", name="100 %").click()
    page.get_by_role("button", name="Histogram").click()
    assert findings(page) == []


def test_a_deep_zoom_that_is_gone_says_so_and_can_be_tried_again(page, deep):
    page.route("**/*.tiles", lambda route: route.fulfill(status=404, body=""))
    page.reload()
    succeeds(page, "wall.jpg")
    expect(page.get_by_text("The result could not be shown here.")).to_be_visible()
    page.complaints.clear()
    page.unroute("**/*.tiles")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".tiles canvas")).to_have_count(2)
    expect(row(page, "wall.jpg")).to_be_visible()
