"""The chain of filters, built by mouse and keyboard."""

import json

import pytest
from playwright.sync_api import expect

from tests.site.pages import add_filter, filters, move_up

pytestmark = pytest.mark.slow


def copied(page, item):
    """Return what an item of the recipe's menu copies, without the browser's own clipboard."""
    page.evaluate("navigator.clipboard.writeText = async text => { window.copied = text }")
    page.get_by_role("button", name="Recipe").click()
    page.get_by_role("button", name=item).click()
    return page.evaluate("window.copied")


def test_a_link_to_the_filters_opens_the_same_chain_elsewhere(page):
    add_filter(page, "Blurring")
    page.get_by_role("spinbutton", name="Sigma", exact=True).fill("3.5")
    add_filter(page, "Edge detection")
    page.get_by_role("button", name="Switch Edge detection off").click()
    link = copied(page, "Copy link")
    assert "#recipe=" in link
    other = page.context.new_page()
    other.goto(link)
    expect(other.get_by_role("spinbutton", name="Sigma", exact=True).first).to_have_value("3.5")
    assert filters(other) == ["Blurring", "Edge detection"]
    expect(other.get_by_role("button", name="Switch Edge detection on")).to_be_visible()


def test_the_recipe_copied_as_json_is_what_the_api_takes(page):
    add_filter(page, "Sharpening")
    steps = json.loads(copied(page, "Copy as JSON"))
    assert steps == [
        {"operation": "unsharp_mask", "radius": 1.0, "amount": 1.0, "preserve_range": False}
    ]


def test_edits_are_undone_and_brought_again_by_keys_and_buttons(page):
    add_filter(page, "Blurring")
    add_filter(page, "Inversion")
    move_up(page, "Inversion")
    assert filters(page) == ["Inversion", "Blurring"]
    page.get_by_role("button", name="Undo").click()
    assert filters(page) == ["Blurring", "Inversion"]
    page.keyboard.press("Control+z")
    assert filters(page) == ["Blurring"]
    page.keyboard.press("Control+Shift+z")
    page.get_by_role("button", name="Redo").click()
    assert filters(page) == ["Inversion", "Blurring"]


def test_a_filter_is_dragged_to_another_position_which_is_one_edit(page):
    # High enough for three whole forms: this test is not about scrolling.
    page.set_viewport_size({"width": 1360, "height": 1600})
    for title in ("Inversion", "Grayscale", "Blurring"):
        add_filter(page, title)
    handle = page.get_by_role("button", name="Inversion, filter 1").bounding_box()
    below = page.get_by_role("group", name="Blurring").bounding_box()
    page.mouse.move(handle["x"] + 8, handle["y"] + 8)
    page.mouse.down()
    page.mouse.move(handle["x"] + 8, below["y"] + below["height"] - 4, steps=12)
    page.mouse.up()
    assert filters(page) == ["Grayscale", "Blurring", "Inversion"]
    page.get_by_role("button", name="Undo").click()
    assert filters(page) == ["Inversion", "Grayscale", "Blurring"]


def test_a_handle_moves_its_filter_by_the_arrow_keys(page):
    for title in ("Inversion", "Grayscale"):
        add_filter(page, title)
    page.get_by_role("button", name="Inversion, filter 1").press("ArrowDown")
    assert filters(page) == ["Grayscale", "Inversion"]


def test_a_preset_puts_a_whole_chain_in_place(page):
    page.get_by_role("button", name="Line drawing").click()
    assert filters(page) == ["Grayscale", "Edge detection"]


def test_the_picker_is_searched_and_walked_by_keys_alone(page):
    page.get_by_role("button", name="Add filter").press("Enter")
    page.keyboard.type("thresh")
    second = page.locator(".card strong").nth(1).inner_text()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert filters(page) == [second]
    expect(page.get_by_role("button", name="Add filter")).to_be_focused()
