"""What is measured on the picture: the numbers are those of the file."""

import csv
import io

import numpy as np
import pytest
import tifffile
from playwright.sync_api import expect
from skimage import measure

from tests.site.pages import add_filter, choose, findings, until

pytestmark = pytest.mark.slow

ROWS, COLUMNS = 240, 320
# Metres per pixel, as the file says: 0.25 µm.
UNIT = 0.25


def cells():
    """Return a 16-bit image whose values lie far above what 8 bits hold, with a pixel size."""
    random = np.random.default_rng(11)
    ramp = np.add.outer(40 * np.arange(ROWS), 11 * np.arange(COLUMNS))
    image = (ramp + random.integers(300, 4000, ramp.shape)).astype(np.uint16)
    size = {f"PhysicalSize{axis}{unit}": each for axis in "XY" for unit, each in (("", UNIT),)}
    units = {f"PhysicalSize{axis}Unit": "µm" for axis in "XY"}
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, ome=True, metadata={"axes": "YX", **size, **units})
    return image, buffer.getvalue()


def place_of(slider):
    """Return column and row of a handle, as it says them."""
    words = slider.get_attribute("aria-valuetext").replace(",", " ").split()
    return int(words[1]), int(words[3])


def copied(page):
    """Return what the button copies, as rows of CSV."""
    page.evaluate("navigator.clipboard.writeText = async text => { window.copied = text }")
    page.get_by_role("button", name="Copy as CSV").click()
    return list(csv.DictReader(io.StringIO(page.evaluate("window.copied"))))


def drag(page, start, end):
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=5)
    page.mouse.up()


def test_a_rectangle_and_a_line_on_the_picture_give_the_values_of_the_file(page):
    image, content = cells()
    choose(page, ("cells.ome.tif", "image/tiff", content))
    expect(page.get_by_role("img", name="cells.ome.tif, before")).to_be_visible()
    add_filter(page, "Inversion")
    expect(page.get_by_role("img", name="cells.ome.tif, preview")).to_be_visible()
    page.keyboard.press("m")
    whole = page.get_by_role("slider", name="Rectangle: arrow keys move it")
    expect(page.get_by_role("region", name="Statistics of the rectangle")).to_be_visible()
    # Drawn anew by the pointer.
    box = page.get_by_role("img", name="cells.ome.tif, before").bounding_box()
    unit = box["width"] / COLUMNS
    near = (box["x"] + 20 * unit, box["y"] + 30 * unit)
    drag(page, near, (box["x"] + 90 * unit, box["y"] + 70 * unit))
    corners = [page.get_by_role("slider", name=f"{each} corner") for each in ("First", "Second")]
    # Then moved by keys: the second corner to one pixel, the whole by ten.
    corners[1].press("ArrowRight")
    whole.press("Shift+ArrowDown")
    (left, top), (right, bottom) = (place_of(each) for each in corners)
    assert abs(left - 20) <= 1
    assert abs(top - 40) <= 1
    part = image[top:bottom, left:right]
    assert part.shape[0] in range(38, 43)
    table = page.get_by_role("region", name="Statistics of the rectangle")
    expect(table.get_by_role("row")).to_have_count(3)
    until(page, lambda: copied(page)[0]["pixels"] == str(part.size), "the rectangle was measured")
    before, after = copied(page)
    for row, values in ((before, part.astype(float)), (after, 65_535.0 - part)):
        assert float(row["mean"]) == pytest.approx(values.mean(), rel=1e-12)
        assert float(row["std"]) == pytest.approx(values.std(), rel=1e-9)
        assert (float(row["min"]), float(row["max"])) == (values.min(), values.max())
    micrometres = f"= {part.shape[1] * UNIT:g} × {part.shape[0] * UNIT:g} µm"
    expect(page.locator(".measured-place")).to_contain_text(micrometres)
    assert findings(page) == []
    # A line, with the values that scikit-image reads along it.
    page.get_by_text("Line", exact=True).click()
    drag(page, (box["x"] + 200 * unit, box["y"] + 60 * unit), (near[0], near[1] + 90 * unit))
    ends = [page.get_by_role("slider", name=each) for each in ("Start of the", "End of the")]
    ends[0].press("ArrowUp")
    (x0, y0), (x1, y1) = (place_of(each) for each in ends)
    expected = measure.profile_line(image, (y0, x0), (y1, x1), order=0, mode="nearest")
    until(page, lambda: len(copied(page)) == len(expected), "the line was measured")
    rows = copied(page)
    np.testing.assert_array_equal([int(row["before"]) for row in rows], expected)
    np.testing.assert_array_equal([int(row["after"]) for row in rows], 65_535 - expected)
    length = np.hypot(x1 - x0, y1 - y0)
    assert float(rows[-1]["distance"]) == pytest.approx(length)
    chart = page.get_by_role("img", name="Values along the line, Before: from")
    expect(chart).to_have_accessible_name(
        f"Values along the line, Before: from {int(expected.min())} to {int(expected.max())}"
    )
    assert findings(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Measure on the picture").press("Enter")
    expect(page.get_by_role("region", name="Measured on the picture")).to_have_count(0)
