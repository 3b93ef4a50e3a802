"""Contrast, gamma and colours: what is drawn follows from the values of the file."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.app import pictures
from tests.site.pages import choose, until

pytestmark = pytest.mark.slow

ROWS, COLUMNS = 64, 256
# Share of the pixels that "Auto" leaves out at either end.
TAIL = 0.0035
# Levels by which rounding may differ.
OFF = 2
# Colours of matplotlib's magma at equal steps.
MAGMA = np.array(
    [
        *((0, 0, 4), (28, 16, 68), (79, 18, 123), (129, 37, 129), (181, 54, 122)),
        *((229, 80, 100), (251, 135, 97), (254, 194, 135), (252, 253, 191)),
    ]
)


def ramp(first, step):
    """Return values that grow from column to column, with a black and a bright pixel among them."""
    image = np.tile(first + step * np.arange(COLUMNS), (ROWS, 1)).astype(np.uint16)
    image[0, 0], image[-1, -1] = 0, 60_000
    return image


def drawn(page):
    """Return the pixels that the page has painted, before they are scaled."""
    found = page.locator(".stage canvas").first.evaluate(
        """each => {
            const copy = new OffscreenCanvas(each.width, each.height).getContext("2d");
            copy.drawImage(each, 0, 0);
            return [each.height, each.width,
                [...copy.getImageData(0, 0, each.width, each.height).data]];
        }"""
    )
    return np.array(found[2]).reshape(found[0], found[1], 4)[..., :3]


def told(page):
    """Return the limits that the page tells: (black, white) of each colour."""
    words = page.locator(".stretch-mark").inner_text().replace(",", "")
    return [(float(a), float(b)) for a, b in re.findall(r"([\d.]+) – ([\d.]+)", words)]


def parts(image, limits):
    """Return the parts of the way from black to white at which values lie."""
    low, high = limits
    return np.clip((image.astype(float) - low) / (high - low), 0, 1)


def becomes(page, expected):
    until(
        page,
        lambda: abs(drawn(page) - expected).max() <= OFF,
        "the picture is drawn as its values say",
        20,
    )


def opened(page, image):
    """Choose an image and open its histogram."""
    choose(page, ("ramp.tif", "image/tiff", pictures.tiff(image)))
    expect(page.get_by_role("img", name="ramp.tif, before")).to_be_visible()
    page.get_by_role("button", name="Histogram").click()
    expect(page.get_by_role("button", name="Auto: contrast of Before")).to_be_visible()


def test_limits_gamma_and_colours_draw_the_values_of_the_file(page):
    image = ramp(300, 16)
    opened(page, image)
    gray = lambda part: np.repeat(255 * part[..., np.newaxis], 3, 2)  # noqa: E731
    becomes(page, gray(parts(image, told(page)[0])))
    page.get_by_role("button", name="Auto: contrast of Before").click()
    white = page.get_by_role("slider", name="White of Before")
    width = float(white.get_attribute("aria-valuemax")) / 256
    until(page, lambda: told(page)[0][1] < 10_000, "the bright pixel is left out")
    # Nearly all pixels lie between them, to within a bin of the histogram.
    expected = np.quantile(image, (TAIL, 1 - TAIL))
    assert np.abs(np.subtract(told(page)[0], expected)).max() <= width + 16
    becomes(page, gray(parts(image, told(page)[0])))
    # By the handles, to values of the file.
    black = page.get_by_role("slider", name="Black of Before")
    black.press("ArrowRight")
    limits = (
        float(black.get_attribute("aria-valuenow")),
        float(white.get_attribute("aria-valuenow")),
    )
    assert np.allclose(told(page)[0], limits, rtol=1e-5)
    becomes(page, gray(parts(image, limits)))
    page.get_by_role("slider", name="Gamma of Before").press("Home")
    expect(page.locator(".stretch-mark")).to_contain_text("gamma 0.10")
    becomes(page, gray(parts(image, limits) ** 0.1))
    page.get_by_role("button", name="Reset: contrast of Before").click()
    expect(page.locator(".stretch-mark")).not_to_contain_text("gamma")
    page.get_by_role("button", name="Auto: contrast of Before").click()
    page.get_by_label("Colours of Before").select_option("Magma")
    expect(page.locator(".stretch-mark")).to_contain_text("Magma")
    part = parts(image, told(page)[0])
    steps = np.linspace(0, 1, len(MAGMA))
    becomes(page, np.dstack([np.interp(part, steps, MAGMA[:, i]) for i in range(3)]))


def test_auto_finds_limits_of_each_colour_by_itself(page):
    image = np.dstack([ramp(300, 4), ramp(2000, 16), ramp(9000, 40)])
    opened(page, image)
    page.get_by_role("button", name="Auto: contrast of Before").click()
    until(page, lambda: len(told(page)) == 3, "each colour has its limits")
    width = 60_000 / 256
    for channel, limits in enumerate(told(page)):
        expected = np.quantile(image[..., channel], (TAIL, 1 - TAIL))
        assert np.abs(np.subtract(limits, expected)).max() <= width + 40
    found = [255 * parts(image[..., i], each) for i, each in enumerate(told(page))]
    becomes(page, np.dstack(found))
