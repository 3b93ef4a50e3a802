"""What screen readers are told in the main states, as committed trees.

A tree that changed for a good reason is written anew with RENEW_TREES=1, and read in the review.
"""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect
from skimage import data

from tests.app import pictures
from tests.site.pages import choose, process, row, succeeds

pytestmark = pytest.mark.slow

TREES = Path(__file__).parent / "trees"
DATE = re.compile(r"\d{1,2} [A-Z][a-z]+ \d{4}")


def told(page):
    """Return the tree of the page, without addresses and dates, which differ each time."""
    lines = page.locator("body").aria_snapshot().splitlines()
    kept = [line for line in lines if not line.strip().startswith("- /url:")]
    return DATE.sub("DATE", "\n".join(kept)) + "\n"


def assert_tree(page, state):
    """Compare the tree with the committed one, once it has stopped changing."""
    path = TREES / f"{state}.yaml"
    before = ""
    for _ in range(40):
        found = told(page)
        expected = path.read_text() if path.exists() else ""
        if found == (before if os.environ.get("RENEW_TREES") else expected):
            break
        before = found
        page.wait_for_timeout(250)
    if os.environ.get("RENEW_TREES"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found)
    assert found == path.read_text(), f"{state}: screen readers are told something else"


def test_screen_readers_are_told_the_main_states(page):
    expect(page.get_by_role("button", name="Count objects")).to_be_visible()
    assert_tree(page, "empty")
    page.keyboard.press("?")
    assert_tree(page, "keys")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Help, limits and privacy").click()
    expect(page.get_by_role("heading", name="Privacy", exact=True)).to_be_visible()
    assert_tree(page, "about")
    page.keyboard.press("Escape")
    coins = pictures.png(data.coins()[:160, :200])
    choose(
        page,
        ("coins.png", "image/png", coins),
        ("notes.png", "image/png", b"This is no picture."),
    )
    page.get_by_role("button", name="Count objects").click()
    expect(page.get_by_role("img", name="coins.png, preview")).to_be_visible()
    expect(page.locator(".preview-mark[data-coming]")).to_have_count(0)
    # The message that images were added goes by itself.
    expect(page.locator(".toast")).to_have_count(0)
    assert_tree(page, "preview")
    page.keyboard.press("m")
    expect(page.get_by_role("region", name="Statistics of the rectangle")).to_be_visible()
    assert_tree(page, "measured")
    page.keyboard.press("m")
    process(page)
    succeeds(page, "coins.png")
    expect(page.get_by_role("grid", name="Table: Measure objects")).to_be_visible()
    expect(row(page, "coins.png")).to_contain_text("→")
    assert_tree(page, "done")
    page.get_by_role("button", name="Gallery").click()
    expect(page.get_by_role("dialog").locator("[data-tile] img").first).to_be_visible()
    assert_tree(page, "gallery")
