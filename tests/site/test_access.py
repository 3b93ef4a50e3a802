"""Accessibility: axe finds nothing in any state, and the whole way works by keyboard alone."""

import re

import pytest
from playwright.sync_api import expect
from skimage import data

from tests.app import pictures
from tests.site.pages import (
    COLOURS,
    EVERYTHING,
    LAYOUT,
    add_filter,
    choose,
    findings,
    process,
    row,
    succeeds,
)

pytestmark = pytest.mark.slow

# What a window of 1280 × 1024 pixels has left at 400 %.
ZOOMED = {"width": 320, "height": 256}


def states(page):
    """Bring the page into one state after the other; yield the name of each."""
    yield "empty"
    page.get_by_role("button", name="Add filter").click()
    yield "picker"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="See all, with pictures").click()
    expect(page.get_by_role("dialog", name="Library").locator("img").first).to_be_visible()
    yield "library"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    yield "keys"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Help, limits and privacy").click()
    expect(page.get_by_role("heading", name="Privacy", exact=True)).to_be_visible()
    yield "about"
    page.keyboard.press("Escape")
    choose(
        page,
        ("coffee.png", "image/png", pictures.png(data.coffee())),
        ("broken.jpg", "image/jpeg", pictures.jpeg(data.astronaut())[:20_000]),
        ("notes.png", "image/png", b"This is no picture."),
    )
    yield "images without filters"
    add_filter(page, "Edge detection")
    add_filter(page, "Blurring")
    page.get_by_role("spinbutton", name="Sigma", exact=True).last.fill("1e9")
    yield "a value that cannot be"
    page.get_by_role("spinbutton", name="Sigma", exact=True).last.fill("2")
    page.get_by_role("button", name="Switch Blurring off").click()
    expect(page.get_by_text("Approximate preview", exact=True)).to_be_visible()
    yield "preview"
    page.keyboard.press("m")
    expect(page.get_by_role("region", name="Statistics of the rectangle")).to_be_visible()
    yield "measured"
    page.keyboard.press("m")
    page.get_by_role("button", name="More settings of Output").click()
    page.get_by_label("Output format").select_option("TIFF")
    expect(page.get_by_label("Compression", exact=True)).to_be_visible()
    yield "output"
    page.get_by_label("Output format").select_option("As input")
    page.get_by_role("button", name="More settings of Output").click()
    page.get_by_role("button", name="Recipe").click()
    yield "menu"
    page.keyboard.press("Escape")
    process(page)
    succeeds(page, "coffee.png")
    page.get_by_role("button", name="Histogram").click()
    yield "split, with histograms"
    page.get_by_role("button", name="Gallery").click()
    expect(page.get_by_role("dialog").locator("[data-tile] img").first).to_be_visible()
    yield "gallery"
    page.get_by_label("Choose coffee.png").check()
    page.get_by_label("Choose broken.jpg").check()
    page.get_by_role("button", name="Compare 2").click()
    compared = page.get_by_role("dialog", name="Compare")
    expect(compared.get_by_role("img", name="coffee.png, after")).to_be_visible()
    yield "compared"
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Recent batches…").click()
    expect(page.get_by_role("dialog", name="Recent batches")).to_contain_text("On this page now")
    yield "recent"
    page.keyboard.press("Escape")
    row(page, "broken.jpg").get_by_role("button", name="Show broken.jpg").click()
    expect(row(page, "broken.jpg")).to_have_attribute("data-job-state", "failed")
    yield "failed"
    page.get_by_role("button", name="Delete now").click()
    yield "asked"
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 390, "height": 844})
    for tab in ("Images", "Viewer", "Filters"):
        page.get_by_role("button", name=tab, exact=True).click()
        yield f"phone, {tab}"


def at_400_percent(page):
    """Return what axe finds in the present state in what a small window has left at 400 %."""
    size = page.viewport_size
    page.set_viewport_size(ZOOMED)
    found = findings(page, LAYOUT)
    page.set_viewport_size(size)
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_state(page, scheme):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    found = {}
    for state in states(page):
        # Dark and light differ in colours alone.
        found[state] = findings(page, EVERYTHING if scheme == "light" else COLOURS)
        # Its layout is the same in light and dark.
        if scheme == "light":
            found[f"{state}, at 400 %"] = at_400_percent(page)
    lines = [f"{state}: {each}" for state, some in found.items() for each in some]
    assert not lines, "\n".join(lines)


def test_the_whole_way_goes_by_keyboard_alone(page):
    sample = page.get_by_role("button", name="Coins")
    for _ in range(20):
        page.keyboard.press("Tab")
        if sample.evaluate("each => each === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(row(page, "coins.png")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("inversion")
    page.keyboard.press("Enter")
    expect(page.get_by_role("group", name="Inversion")).to_be_visible()
    page.keyboard.press("Control+Enter")
    succeeds(page, "coins.png")
    link = row(page, "coins.png").get_by_role("link", name="Download coins.png")
    # Past the forms of the sample's own filters, and around.
    for _ in range(120):
        page.keyboard.press("Tab")
        if link.evaluate("each => each === document.activeElement"):
            break
    with page.expect_download() as caught:
        page.keyboard.press("Enter")
    assert re.match("coins", caught.value.suggested_filename)
