"""The workbench: what a visitor must not lose, misread or be unable to reach."""

import io
import re

import numpy as np
import pytest
import tifffile
from playwright.sync_api import expect
from skimage import data

from tests.app import pictures
from tests.site.pages import (
    add_filter,
    choose,
    filters,
    findings,
    pointed,
    process,
    row,
    succeeds,
    until,
)

pytestmark = pytest.mark.slow

# What a window of 1280 × 1024 pixels has left at 400 %.
ZOOMED = {"width": 320, "height": 256}


def lzw(image):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, compression="lzw", predictor=True)
    return buffer.getvalue()


def test_a_reload_keeps_the_chain_and_leaving_with_unsent_files_asks(page):
    asked = []
    page.on("dialog", lambda dialog: asked.append(dialog.type))
    add_filter(page, "Blurring")
    sigma = page.get_by_role("spinbutton", name="Sigma", exact=True)
    sigma.fill("1,5")
    expect(page.get_by_role("slider", name="Sigma slider")).to_have_value("1.5")
    sigma.fill("1,500")
    expect(page.get_by_text("Enter a number between 0.1 and 100 px.")).to_be_visible()
    sigma.fill("4.5")
    page.get_by_label("Output format").select_option("webp")
    page.reload()
    assert asked == []
    expect(page.get_by_role("spinbutton", name="Sigma", exact=True)).to_have_value("4.5")
    expect(page.get_by_label("Output format")).to_have_value("webp")
    choose(page, ("a.png", "image/png", pictures.png(pictures.small(4))))
    expect(row(page, "a.png")).to_be_visible()
    # Chromium asks only where the visitor has touched the page since it was loaded.
    page.get_by_role("spinbutton", name="Sigma", exact=True).click()
    page.reload()
    assert asked == ["beforeunload"]
    expect(page.get_by_role("spinbutton", name="Sigma", exact=True)).to_have_value("4.5")
    assert filters(page) == ["Blurring"]


def test_a_tiff_of_sixteen_bits_is_previewed_with_its_values_where_the_visitor_looks(page):
    image = np.tile(data.camera(), (2, 3))[:900, :1200].astype(np.uint16) * 16 + 300
    choose(page, ("cells.tif", "image/tiff", lzw(image)))
    add_filter(page, "Inversion")
    expect(page.get_by_role("img", name="cells.tif, before")).to_be_visible()
    expect(page.get_by_role("img", name="cells.tif, preview")).to_be_visible()
    (x, y), (before, _) = pointed(page, 200, 200)
    assert int(before) == image[y, x]
    page.get_by_role("button", name="Show a piece at full size").click()
    expect(page.get_by_text("Piece at full size", exact=True)).to_be_visible()
    place = page.get_by_role("slider", name="Place of the piece")
    place.press("ArrowRight")
    expect(place).to_have_attribute("aria-valuetext", "x 728  y 450")
    page.wait_for_function("() => !document.querySelector('.preview-mark[data-coming]')")
    _, values = pointed(page, 300, 300)
    first, second = (int(each) for each in values)
    assert second == 65_535 - first
    add_filter(page, "Inversion")
    page.get_by_label("After which filter to look").select_option("1")
    expected = [str(first), str(second)]
    until(page, lambda: pointed(page, 300, 300)[1] == expected, "the values after one filter")


def test_the_next_image_of_the_same_size_is_seen_at_the_same_place(page):
    images = {name: np.roll(data.coffee(), by, 1) for name, by in (("a.png", 0), ("b.png", 90))}
    images["small.png"] = data.coffee()[:300, :300]
    choose(page, *((name, "image/png", pictures.png(each)) for name, each in images.items()))
    expect(page.get_by_role("img", name="a.png, before")).to_be_visible()
    stage = page.get_by_role("group", name="Picture")
    for key in ("1", "+", "+", "+", "ArrowRight", "ArrowDown"):
        stage.press(key)
    zoom = page.locator(".zoom-now").inner_text()
    place, (red_green_blue,) = pointed(page, 120, 90)
    row(page, "b.png").get_by_role("button", name="Show b.png").click()
    expect(page.get_by_role("img", name="b.png, before")).to_be_visible()
    expect(page.locator(".zoom-now")).to_have_text(zoom)
    (x, y), (other,) = pointed(page, 120, 90)
    assert (x, y) == place
    assert [int(each) for each in red_green_blue.split()] == images["a.png"][y, x].tolist()
    assert [int(each) for each in other.split()] == images["b.png"][y, x].tolist()
    row(page, "small.png").get_by_role("button", name="Show small.png").click()
    expect(page.get_by_role("button", name="Fit")).to_have_attribute("aria-pressed", "true")


def test_at_400_percent_everything_can_be_reached_and_nothing_covers_process(page):
    page.set_viewport_size(ZOOMED)
    choose(page, ("coffee.png", "image/png", pictures.png(data.coffee())))
    found = []
    for tab in ("Viewer", "Filters", "Images"):
        page.locator(".tabs").get_by_role("button", name=tab).click()
        if tab == "Filters":
            add_filter(page, "Inversion")
            # The picture stays beside the form, with its effect.
            expect(page.get_by_role("img", name="coffee.png, preview")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= ZOOMED["width"]
        found += [(tab, each) for each in findings(page)]
    assert found == []
    process(page)
    succeeds(page, "coffee.png")
    expect(row(page, "coffee.png")).to_contain_text("→")


def test_names_and_failures_are_told_plainly_and_another_tab_hears_of_a_deletion(page, warm_app):
    name = "cat\u202egnp.jpg"
    shown = "cat⟨U+202E⟩gnp.jpg"
    choose(
        page,
        (name, "image/jpeg", pictures.jpeg(data.astronaut())[:20_000]),
        ("good.png", "image/png", pictures.png(pictures.small(8))),
    )
    add_filter(page, "Inversion")
    page.get_by_role("button", name="Fold Images away").or_(
        page.get_by_role("button", name="Show Images")
    ).click()
    expect(row(page, shown)).to_be_hidden()
    page.get_by_role("button", name="Show Images").click()
    process(page)
    succeeds(page, "good.png")
    broken = row(page, shown)
    expect(broken).to_have_attribute("data-job-state", "failed")
    expect(broken.locator(".row-state")).to_have_text(re.compile("^The file ends too early"))
    expect(page.get_by_role("button", name=re.compile("^Retry"))).to_have_count(0)
    other = page.context.new_page()
    other.goto(page.url)
    succeeds(other, "good.png")
    page.get_by_role("button", name="Delete now").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(other.get_by_role("alert")).to_contain_text("deleted in another tab")
    expect(other.locator(".row")).to_have_count(0)
