"""The site, clicked through as a visitor would."""

import gzip
import re

import numpy as np
import pytest
from playwright.sync_api import expect
from skimage import color, data, filters, util

from config.contract.settings import TOP
from tests.app import pictures
from tests.client import Client
from tests.site.pages import add_filter, choose, print_figure, process, row

pytestmark = pytest.mark.slow

# React alone takes half of it.
FIRST_BYTES_MAX = 130_000
PHOTOGRAPHS = {
    "astronaut.png": np.tile(data.astronaut(), (4, 4, 1)),
    "coffee.png": data.coffee(),
}


def download(page, name):
    with page.expect_download() as caught:
        row(page, name).get_by_role("link", name=f"Download {name}").click()
    return caught.value.path().read_bytes()


def expected(image):
    """Blur and turn gray with scikit-image, in single precision, rounded once."""
    blurred = filters.gaussian(util.img_as_float32(image), 3.0, channel_axis=2)
    return util.img_as_ubyte(color.rgb2gray(blurred))


def test_the_first_view_needs_no_more_than_130_kilobytes(warm_app):
    """Page, styles, scripts and forms that come before the first view, compressed as they are."""
    folder = TOP / "frontend" / "dist"
    page = (folder / "index.html").read_text()
    names = re.findall(r'(?:src|href)="/(assets/[^"]+\.(?:js|css))"', page)
    parts = [page.encode(), *((folder / name).read_bytes() for name in names)]
    with Client(warm_app.url) as client:
        status, forms = client.request("GET", "/api/operations?part=forms")
    assert (status, len(forms) > 50_000) == (200, True)
    parts.append(forms)
    size = sum(len(gzip.compress(part, 9)) for part in parts)
    print_figure(f"first view: {size / 1000:.1f} kB in {len(parts)} files")
    assert size <= FIRST_BYTES_MAX


def test_sentences_of_the_catalogue_are_asked_for_after_the_first_view(page):
    expect(page.get_by_text("No filters yet.")).to_be_visible()
    add_filter(page, "Blurring")
    page.get_by_role("button", name="What Blurring means").click()
    expect(page.get_by_text("skimage.filters.gaussian")).to_be_visible()
    first = page.evaluate(
        """() => {
            const [{loadEventStart}] = performance.getEntriesByType("navigation");
            return performance.getEntriesByType("resource")
                .filter(each => each.startTime < loadEventStart && each.name.includes("/api/"))
                .map(each => new URL(each.name).search);
        }"""
    )
    assert first == ["?part=forms"]


def test_two_photographs_go_through_a_chain_and_come_back_as_scikit_image_has_them(page):
    # Record every progress bar that the page ever shows.
    page.evaluate(
        """() => {
            window.seen = new Set();
            new MutationObserver(() => document.querySelectorAll("progress").forEach(
                each => window.seen.add(each.getAttribute("aria-label"))
            )).observe(document.body, {childList: true, subtree: true, attributes: true});
        }"""
    )
    choose(page, *((n, "image/png", pictures.png(image)) for n, image in PHOTOGRAPHS.items()))
    add_filter(page, "Blurring")
    add_filter(page, "Grayscale")
    page.get_by_role("spinbutton", name="Sigma", exact=True).fill("3")
    process(page)
    for name, image in PHOTOGRAPHS.items():
        expect(row(page, name)).to_have_attribute("data-job-state", "succeeded", timeout=60_000)
        off = abs(pictures.pixels(download(page, name)).astype(int) - expected(image))
        # rgb2gray states a tolerance of one level, where the float lies at a rounding edge.
        assert off.max() <= 1
        assert (off > 0).mean() < 1e-4
    seen = set(page.evaluate("[...window.seen]"))
    for name in PHOTOGRAPHS:
        assert {f"Upload of {name}", f"Processing of {name}"} & seen, seen
    assert "Processing of astronaut.png" in seen


def test_a_visitor_compares_before_and_after(page):
    choose(page, ("coffee.png", "image/png", pictures.png(PHOTOGRAPHS["coffee.png"])))
    add_filter(page, "Inversion")
    process(page)
    expect(row(page, "coffee.png")).to_have_attribute("data-job-state", "succeeded")
    divider = page.get_by_role("slider", name="Divider between before and after")
    divider.press("Home")
    expect(divider).to_have_attribute("aria-valuenow", "1")
    expect(page.get_by_role("img", name="coffee.png, after")).to_be_visible()
    page.reload()
    expect(row(page, "coffee.png")).to_have_attribute("data-job-state", "succeeded")


def test_a_failed_image_says_why_and_stops_no_other(page):
    choose(
        page,
        ("broken.jpg", "image/jpeg", pictures.jpeg(data.astronaut())[:20_000]),
        ("notes.png", "image/png", b"This is no picture."),
        ("empty.png", "image/png", b""),
        ("huge.png", "image/png", pictures.zeros_of(60_000, 60_000)),
        ("coffee.png", "image/png", pictures.png(PHOTOGRAPHS["coffee.png"])),
    )
    expect(row(page, "notes.png")).to_contain_text("starts with 54 68 69 73")
    expect(row(page, "empty.png")).to_contain_text("empty")
    add_filter(page, "Edge detection")
    process(page)
    expect(row(page, "coffee.png")).to_have_attribute("data-job-state", "succeeded")
    expect(row(page, "broken.jpg")).to_contain_text("The file ends too early")
    expect(row(page, "huge.png")).to_contain_text("at most 400 megapixels are accepted")
    # The files themselves are at fault, so no retry is offered.
    expect(page.get_by_role("button", name="Retry")).to_have_count(0)


def test_an_impossible_value_is_said_at_its_field(page):
    choose(page, ("coffee.png", "image/png", pictures.png(PHOTOGRAPHS["coffee.png"])))
    add_filter(page, "Blurring")
    page.get_by_role("spinbutton", name="Sigma", exact=True).fill("1e9")
    expect(page.get_by_text("Must be between 0.1 and 100 px.")).to_be_visible()
