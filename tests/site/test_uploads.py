"""Uploads of large files in parts, through a reload and a lost connection."""

import re

import numpy as np
import pytest
import tifffile
from playwright.sync_api import expect

from tests.app import pictures
from tests.site.pages import add_filter, choose, print_figure, process, row, succeeds, until

pytestmark = pytest.mark.slow

PART = re.compile(r"dip-uploads.*partNumber=(\d+)")
BATCH = re.compile(r"/api/batches/[0-9a-f]{32}(\?.*)?$")
PART_BYTES = 8 * 2**20


@pytest.fixture
def scan(tmp_path):
    """Write a TIFF of 120 MB, 15 parts of an upload; return its path."""
    path = tmp_path / "scan.tif"
    rows = np.arange(11_000, dtype=np.uint16)[:, None] // 67
    tifffile.imwrite(path, np.broadcast_to(rows.astype(np.uint8), (11_000, 11_000)))
    return path


def test_a_reload_in_the_middle_of_a_large_file_sends_no_part_twice(page, scan):
    parts = -(-scan.stat().st_size // PART_BYTES)
    arrived, stopped, stored = [], [], []

    def send_a_third(route):
        """Let a third of the parts through, and stop all others."""
        if route.request.method != "PUT":
            route.continue_()
        elif len(arrived) < parts // 3:
            arrived.append(int(PART.search(route.request.url)[1]))
            route.continue_()
        else:
            stopped.append(route)

    page.on(
        "response",
        lambda answer: stored.append(1) if PART.search(answer.url) and answer.ok else None,
    )
    page.route(PART, send_a_third)
    page.get_by_label("Choose images").set_input_files(str(scan))
    add_filter(page, "Inversion")
    process(page)
    until(page, lambda: stopped and len(stored) == parts // 3, "a third of the parts was stored")
    expect(row(page, "scan.tif")).to_contain_text("Uploading")
    # Reload before the route ends, since the stopped parts would then be sent.
    page.reload()
    page.unroute(PART)
    expect(row(page, "scan.tif")).to_contain_text("Add the file again")
    again = []
    page.on(
        "request",
        lambda request: (
            again.append(int(PART.search(request.url)[1]))
            if request.method == "PUT" and PART.search(request.url)
            else None
        ),
    )
    page.get_by_label("Choose images").set_input_files(str(scan))
    expect(row(page, "scan.tif")).to_have_attribute(
        "data-job-state", re.compile("queued|running|succeeded"), timeout=120_000
    )
    print_figure(f"{parts} parts: {len(arrived)} before the reload, {len(again)} after it")
    assert set(arrived).isdisjoint(again)
    assert sorted({*arrived, *again}) == list(range(1, parts + 1))
    page.get_by_role("button", name="Cancel scan.tif").or_(
        page.get_by_role("button", name="Remove scan.tif")
    ).click()


def test_a_file_that_is_chosen_before_its_batch_is_known_resumes(page, scan):
    stopped, held = [], []
    page.route(PART, lambda route: stopped.append(route))
    page.get_by_label("Choose images").set_input_files(str(scan))
    add_filter(page, "Inversion")
    process(page)
    until(page, lambda: stopped, "the first part was on its way")
    page.route(BATCH, lambda route: held.append(route))
    page.reload()
    page.unroute(PART)
    page.get_by_label("Choose images").set_input_files(str(scan))
    expect(row(page, "scan.tif")).to_be_visible()
    until(page, lambda: held, "the page asked for its batch")
    page.unroute(BATCH)
    expect(row(page, "scan.tif")).to_have_attribute(
        "data-job-state", re.compile("queued|running|succeeded"), timeout=120_000
    )
    expect(page.locator(".row")).to_have_count(1)
    page.get_by_role("button", name="Cancel scan.tif").or_(
        page.get_by_role("button", name="Remove scan.tif")
    ).click()


def test_an_upload_that_is_being_joined_is_never_shown_as_failed(page):
    answers = []

    def put_off(route):
        """Fail once, then say twice that parts are joined, as the service does under load."""
        answers.append(route.request.url)
        if len(answers) == 1:
            return route.fulfill(status=503, body="")
        if len(answers) > 3:
            return route.continue_()
        job = page.request.get(route.request.url.removesuffix("/uploaded")).json()
        return route.fulfill(status=202, json=job | {"state": "joining"})

    page.route(re.compile(r"/api/.*/uploaded$"), put_off)
    page.evaluate(
        """() => {
            window.states = new Set();
            const look = () => window.states.add(
                document.querySelector(".row")?.getAttribute("data-job-state"));
            new MutationObserver(look).observe(
                document.body, {childList: true, subtree: true, attributes: true});
        }"""
    )
    choose(page, ("a.png", "image/png", pictures.png(pictures.small(6))))
    add_filter(page, "Inversion")
    process(page)
    expect(row(page, "a.png")).to_contain_text("Joining the parts", timeout=60_000)
    succeeds(page, "a.png")
    assert len(answers) == 4
    assert "failed" not in page.evaluate("[...window.states]")
    page.complaints[:] = [each for each in page.complaints if "Failed to load" not in each]


def test_an_upload_waits_out_a_lost_connection(page):
    # Forms and viewer come while the page is idle.
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    choose(page, ("a.png", "image/png", pictures.png(pictures.small(5))))
    add_filter(page, "Inversion")
    process(page)
    expect(page.get_by_text("You are offline. Everything goes on")).to_be_visible()
    page.context.set_offline(False)
    succeeds(page, "a.png")
    # The browser complains about calls that it could not make; that is no error of the page.
    page.complaints[:] = [each for each in page.complaints if "ERR_INTERNET_DISC" not in each]
