"""The frame of a crop, drawn on the picture by mouse and by keys."""

import pytest
from playwright.sync_api import expect
from skimage import data

from tests.app import pictures
from tests.site.pages import add_filter, choose, findings, process, row, succeeds

pytestmark = pytest.mark.slow


def picture_box(page):
    """Return where the picture lies in the window, once it is at rest: (left, top, width)."""
    found = None
    for _ in range(100):
        box = page.get_by_role("img", name="coffee.png, before").bounding_box()
        if box == found:
            return box["x"], box["y"], box["width"]
        found = box
        page.wait_for_timeout(200)
    raise AssertionError("the picture has moved for 20 seconds")


def drag(page, start, end):
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=6)
    page.mouse.up()


def test_what_the_frame_on_the_picture_holds_is_what_the_crop_keeps(page):
    image = data.coffee()
    rows, columns = image.shape[:2]
    choose(page, ("coffee.png", "image/png", pictures.png(image)))
    expect(page.get_by_role("img", name="coffee.png, before")).to_be_visible()
    add_filter(page, "Crop")
    place = page.get_by_role("slider", name="Frame: arrow keys move it")
    expect(place).to_have_attribute("aria-valuetext", f"x 0  y 0, {columns} × {rows}")
    left, top, width = picture_box(page)
    unit = width / columns
    corner = (left + 100 * unit, top + 60 * unit)
    drag(page, corner, (left + 500 * unit, top + 360 * unit))
    fields = {name: page.get_by_role("spinbutton", name=name) for name in ("Top", "Left", "Bottom")}
    drawn = {name: int(field.input_value()) for name, field in fields.items()}
    assert abs(drawn["Left"] - 100) <= 1
    assert abs(drawn["Top"] - 60) <= 1
    assert abs(drawn["Bottom"] - (rows - 360)) <= 1
    # Once drawn, the frame is moved as a whole; its corners and edges stretch it.
    drag(page, (left + 300 * unit, top + 200 * unit), (left + 320 * unit, top + 180 * unit))
    assert abs(int(fields["Left"].input_value()) - 120) <= 1
    place.press("Shift+ArrowLeft")
    right = page.get_by_role("slider", name="Right edge of the frame")
    before = int(right.get_attribute("aria-valuenow"))
    right.press("ArrowRight")
    expect(right).to_have_attribute("aria-valuenow", str(before + 1))
    page.get_by_label("Shape of the frame").select_option("1 : 1")
    assert findings(page) == []
    kept = {
        name: int(page.get_by_role("slider", name=f"{name} edge").get_attribute("aria-valuenow"))
        for name in ("Left", "Top", "Right", "Bottom")
    }
    assert kept["Right"] - kept["Left"] == kept["Bottom"] - kept["Top"]
    page.get_by_role("button", name="Done").click()
    expect(place).to_have_count(0)
    # Moving an edge, dragging and choosing a shape were an edit each.
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Redo").click()
    process(page)
    succeeds(page, "coffee.png")
    with page.expect_download() as caught:
        row(page, "coffee.png").get_by_role("link").click()
    expected = image[kept["Top"] : kept["Bottom"], kept["Left"] : kept["Right"]]
    assert (pictures.pixels(caught.value.path().read_bytes()) == expected).all()
