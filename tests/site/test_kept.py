"""What the browser keeps and shows at once: recent batches, the library, images side by side."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.app import pictures
from tests.site.pages import add_filter, choose, filters, process, succeeds

pytestmark = pytest.mark.slow

GONE = re.compile("Failed to load resource.*4(04|10)")


def recent(page):
    """Open the list of recent batches from the empty page; return its dialog."""
    page.get_by_role("button", name="Recent batches…").click()
    return page.get_by_role("dialog", name="Recent batches")


def test_recent_batches_are_opened_and_taken_off_and_one_that_is_gone_says_so(page, warm_app):
    page.get_by_role("button", name="Add filter").wait_for()
    expect(page.get_by_role("button", name="Recent batches…")).to_have_count(0)
    for number, name in enumerate(("monday.png", "tuesday.png")):
        choose(page, (name, "image/png", pictures.png(pictures.small(number))))
        add_filter(page, "Inversion")
        process(page)
        succeeds(page, name)
        page.goto(warm_app.url)
    listed = recent(page).get_by_role("listitem")
    expect(listed).to_have_count(2)
    expect(listed.first).to_contain_text("tuesday.png")
    expect(listed.last).to_contain_text("Inversion")
    expect(listed.last).to_contain_text("All 1 done")
    listed.last.get_by_role("link").click()
    succeeds(page, "monday.png")
    batch = page.url.partition("#batch=")[2]
    assert page.request.delete(f"{warm_app.url}/api/batches/{batch}").ok
    page.goto(warm_app.url)
    listed = recent(page).get_by_role("listitem")
    expect(listed.last).to_contain_text("No longer kept")
    expect(listed.last.get_by_role("link")).to_have_count(0)
    listed.last.get_by_role("button", name="Take monday.png off this list").click()
    expect(listed).to_have_count(1)
    page.get_by_role("button", name="Clear this list").click()
    expect(page.get_by_text("No batches yet.")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Recent batches…")).to_have_count(0)
    # The browser itself writes that a batch was not there.
    page.complaints[:] = [each for each in page.complaints if not GONE.search(each)]


def middles(page):
    """Return what part of each picture lies in the middle of its pane, and their zooms."""
    return page.locator(".compare-image").evaluate_all(
        """all => all.map(each => {
            const pane = each.querySelector(".stage").getBoundingClientRect();
            const picture = each.querySelector("img").getBoundingClientRect();
            const part = (at, room, from, length) => (at + room / 2 - from) / length;
            return [
                part(pane.x, pane.width, picture.x, picture.width),
                part(pane.y, pane.height, picture.y, picture.height),
                picture.width / pane.width,
            ].map(each => Math.round(100 * each) / 100);
        })"""
    )


def test_images_side_by_side_are_zoomed_and_moved_together(page):
    sizes = {"a.png": 1, "b.png": 2, "c.png": 3}
    content = {
        name: pictures.png(pictures.small(place).repeat(size, 0).repeat(size, 1))
        for place, (name, size) in enumerate(sizes.items())
    }
    choose(page, *((name, "image/png", each) for name, each in content.items()))
    page.get_by_role("button", name="Gallery").click()
    gallery = page.get_by_role("dialog", name="Gallery")
    gallery.get_by_label("Choose a.png").check()
    expect(gallery.get_by_role("button", name=re.compile("^Compare"))).to_have_count(0)
    gallery.get_by_label("Choose c.png").check()
    gallery.get_by_role("button", name="Compare 2").press("Enter")
    compared = page.get_by_role("dialog", name="Compare")
    expect(compared.get_by_role("img")).to_have_count(2)
    panes = compared.get_by_role("group", name="Pictures: arrow keys move all")
    expect(panes).to_be_focused()
    whole = middles(page)
    assert whole[0] == whole[1]
    assert whole[0][:2] == [0.5, 0.5]
    for key in ("+", "+", "+", "+", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    first, second = middles(page)
    assert first == second
    assert first[0] > 0.5
    assert first[1] > 0.5
    assert first[2] > 2 * whole[0][2]
    box = compared.locator(".stage").last.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    page.mouse.wheel(0, -200)
    expect(compared.locator(".compare-cross")).to_have_count(1)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4 + 40, box["y"] + box["height"] / 4 + 30)
    page.mouse.up()
    first, moved = middles(page)
    assert first == moved
    assert moved != second
    page.keyboard.press("0")
    assert middles(page) == whole
    page.keyboard.press("Escape")
    expect(compared).to_have_count(0)
    expect(gallery).to_be_visible()


def ramp(top):
    """Make a TIFF of 16 bits from 0 to a value, which is that of the right half."""
    image = np.zeros((64, 64), np.uint16)
    image[:, :32] = np.linspace(0, top, 32, dtype=np.uint16)
    image[:, 32:] = top
    return pictures.tiff(image)


def levels(page):
    """Return how bright the last pixel of each compared picture is, from 0 to 255."""
    return page.locator(".compare canvas").evaluate_all(
        """all => all.map(each => {
            const copy = new OffscreenCanvas(1, 1).getContext("2d");
            copy.drawImage(each, 1 - each.width, 1 - each.height);
            return copy.getImageData(0, 0, 1, 1).data[0];
        })"""
    )


def test_equal_values_are_equally_bright_in_images_side_by_side(page):
    """Each image in its own contrast hides that one is four times as bright as the other."""
    choose(page, *((f"{top}.tif", "image/tiff", ramp(top)) for top in (1000, 4000)))
    page.get_by_role("button", name="Gallery").click()
    gallery = page.get_by_role("dialog", name="Gallery")
    gallery.get_by_label("Choose 1000.tif").check()
    gallery.get_by_label("Choose 4000.tif").check()
    gallery.get_by_role("button", name="Compare 2").click()
    compared = page.get_by_role("dialog", name="Compare")
    expect(compared.get_by_text("Contrast stretched (0 – 4,000)")).to_have_count(2)
    dark, light = levels(page)
    assert abs(dark - 64) < 3
    assert light > 252
    compared.get_by_label("Same contrast").uncheck()
    expect(compared.get_by_text("Contrast stretched (0 – 1,000)")).to_have_count(1)
    assert min(levels(page)) > 252


def test_the_library_shows_each_chain_before_and_after(page):
    page.get_by_role("button", name="See all, with pictures").click()
    library = page.get_by_role("dialog", name="Library")
    cards = library.get_by_role("listitem")
    expect(cards).to_have_count(14)
    for card in cards.all():
        card.scroll_into_view_if_needed()
        picture = card.locator("img")
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("each => each.naturalWidth") == 406
    library.get_by_role("button", name="Line drawing").click()
    expect(library).to_have_count(0)
    assert filters(page) == ["Grayscale", "Edge detection"]
