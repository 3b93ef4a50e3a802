"""The preview: what a slider does, at once."""

import base64
import hashlib
import statistics
import time

import numpy as np
import pytest
from playwright.sync_api import expect
from skimage import data, filters, morphology

from tests.app import pictures
from tests.client import Client
from tests.site.pages import add_filter, choose, print_figure, until

pytestmark = pytest.mark.slow

PREVIEW = "coffee.png, preview"


def chosen(page, image):
    choose(page, ("coffee.png", "image/png", pictures.png(image)))


def test_a_slider_shows_its_effect_before_anything_is_processed(page):
    chosen(page, data.coffee()[:300, :400])
    add_filter(page, "Inversion")
    after = page.get_by_role("img", name=PREVIEW)
    expect(page.get_by_text("Preview", exact=True)).to_be_visible()
    src = after.get_attribute("src")
    found = pictures.pixels(base64.b64decode(src.partition(",")[2]))
    np.testing.assert_array_equal(found, 255 - data.coffee()[:300, :400])
    add_filter(page, "Blurring")
    expect(after).not_to_have_attribute("src", src)
    # After the undo, the preview is the earlier one again.
    page.get_by_role("button", name="Undo").click()
    expect(after).to_have_attribute("src", src)


def test_a_scaled_picture_is_marked_approximate_and_lengths_shrink_with_it(page):
    chosen(page, np.tile(data.coffee(), (3, 3, 1)))
    bodies = []
    page.on(
        "request",
        lambda request: (
            bodies.append(request.post_data_json) if request.url.endswith("/previews") else None
        ),
    )
    add_filter(page, "Blurring")
    page.get_by_role("spinbutton", name="Sigma", exact=True).fill("18")
    scaled = pytest.approx(18 * 512 / 1800)
    sent = lambda: bodies and bodies[-1]["steps"][0]["sigma"] == scaled  # noqa: E731
    until(page, sent, "a preview with the scaled length")
    expect(page.get_by_text("Approximate preview", exact=True)).to_be_visible()
    page.wait_for_function("() => !document.querySelector('.preview-mark[data-coming]')")
    # The picture itself is sent only once.
    with page.expect_response("**/api/previews"):
        page.get_by_role("spinbutton", name="Sigma", exact=True).fill("9")
    assert bodies[-1].keys() == {"steps", "picture"}


def shown(page, name):
    """Return the pixels of a picture on the page, whose policy lets no script fetch its address."""
    url = page.get_by_role("img", name=name).evaluate(
        """async (image) => {
            await image.decode();
            const canvas = document.createElement("canvas");
            canvas.width = image.naturalWidth;
            canvas.height = image.naturalHeight;
            canvas.getContext("2d").drawImage(image, 0, 0);
            return canvas.toDataURL();
        }"""
    )
    return pictures.pixels(base64.b64decode(url.partition(",")[2]))[..., :3]


def test_a_piece_at_full_size_is_as_the_result_will_have_it(page):
    image = np.tile(data.coffee()[:300, :400], (4, 3, 1))
    chosen(page, image)
    add_filter(page, "Smoothing")
    page.get_by_role("spinbutton", name="Radius").fill("3")
    page.get_by_role("button", name="Show a piece at full size").click()
    expect(page.get_by_text("Piece at full size", exact=True)).to_be_visible()
    page.wait_for_function("() => !document.querySelector('.preview-mark[data-coming]')")
    # Compare the middle, without the three pixels where the median reads beyond the piece.
    top, left = (1200 - 512) // 2 + 3, (1200 - 512) // 2 + 3
    core = (slice(top, top + 506), slice(left, left + 506))
    np.testing.assert_array_equal(shown(page, "coffee.png, before"), image[core])
    square = morphology.footprint_rectangle((7, 7))
    expected = np.dstack([filters.median(image[..., i], square)[core] for i in range(3)])
    np.testing.assert_array_equal(shown(page, PREVIEW), expected)
    # A filter that measures the whole image cannot be exact on a piece of it.
    add_filter(page, "Edge detection")
    expect(page.get_by_text("Piece at full size, approximate")).to_be_visible()
    page.get_by_role("button", name="Show all of it").click()
    expect(page.get_by_text("Approximate preview", exact=True)).to_be_visible()


def test_previews_take_a_fraction_of_a_second(page, app, record_property):
    """Print the medians and check no limit, since a busy machine would break it."""
    picture = pictures.png(data.astronaut())
    name = hashlib.sha256(picture).hexdigest()
    body = {"picture": name, "content": base64.b64encode(picture).decode()}
    with Client(app.url) as client:
        for operation in ("gaussian", "sobel", "threshold_otsu", "median"):
            steps = [{"operation": operation}]
            seconds = []
            for _ in range(9):
                began = time.perf_counter()
                status, answer = client.call("POST", "/previews", {**body, "steps": steps})
                seconds.append(time.perf_counter() - began)
                assert status == 200, answer
                body.pop("content", None)
            median = statistics.median(seconds)
            record_property(f"preview of {operation}, seconds", median)
            print_figure(f"preview of {operation} at 512 × 512: median {median:.3f} s")
    chosen(page, data.astronaut())
    add_filter(page, "Blurring")
    expect(page.get_by_role("img", name=PREVIEW)).to_be_visible()
    # The time from a move of the slider to the picture on the page.
    times = page.evaluate(
        """async () => {
            const slider = document.querySelector("input[type=range]");
            const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
            const image = document.querySelector(".pane-after img");
            const times = [];
            for (let sigma = 2; sigma < 11; sigma += 1) {
                const began = performance.now();
                const shown = new Promise(
                    done => image.addEventListener("load", done, {once: true})
                );
                set.call(slider, String(sigma));
                slider.dispatchEvent(new Event("input", {bubbles: true}));
                await shown;
                times.push(performance.now() - began);
            }
            return times;
        }"""
    )
    median = statistics.median(times) / 1000
    record_property("slider to picture, seconds", median)
    print_figure(f"from slider to picture at 512 × 512: median {median:.3f} s")
