"""Sizes of results: given in three ways, shown before and after, and what comes back."""

import io
import re
import zipfile

import pytest
from PIL import Image
from playwright.sync_api import expect
from skimage import data

from tests.app import pictures
from tests.site.pages import add_filter, choose, process, row, succeeds

pytestmark = pytest.mark.slow

TABLET = {"width": 820, "height": 1180}


def boxes(page):
    """Return where before and preview lie on the stage, in whole pixels."""
    found = []
    for which in ("before", "preview"):
        box = page.get_by_role("img", name=f"coffee.png, {which}").bounding_box()
        found.append(tuple(round(box[each]) for each in ("x", "y", "width", "height")))
    return found


def test_a_size_keeps_the_shape_and_is_shown_as_it_will_be(page):
    choose(page, ("coffee.png", "image/png", pictures.png(data.coffee())))
    dimensions = page.locator(".viewer .dimensions")
    expect(dimensions).to_have_text("600 × 400")
    add_filter(page, "Resize")
    card = page.get_by_role("group", name="Resize").first
    card.get_by_text("Width × height").click()
    width, height = (page.get_by_role("spinbutton", name=each) for each in ("Width", "Height"))
    width.fill("240")
    expect(height).to_have_value("160")
    expect(dimensions).to_have_text("600 × 400 → 240 × 160")
    expect(page.get_by_text("600 × 400 becomes 240 × 160.")).to_be_visible()
    preview = page.get_by_role("img", name="coffee.png, preview")
    # The preview has the true size, and both halves meet at the divider.
    page.wait_for_function(
        "() => document.querySelector('.pane-after img')?.naturalWidth === 240", timeout=20_000
    )
    assert preview.evaluate("each => each.naturalHeight") == 160
    before, after = boxes(page)
    assert before == after
    page.get_by_role("button", name="Keep proportions").click()
    height.fill("100")
    expect(width).to_have_value("240")
    page.get_by_text("Percent", exact=True).first.click()
    page.get_by_role("button", name="25 %").click()
    expect(dimensions).to_have_text("600 × 400 → 150 × 100")
    page.get_by_text("Longest side", exact=True).first.click()
    page.get_by_role("spinbutton", name="Longest side").fill("300")
    expect(dimensions).to_have_text("600 × 400 → 300 × 200")
    process(page)
    succeeds(page, "coffee.png")
    expect(row(page, "coffee.png")).to_contain_text("→")
    # The image is smaller than the stage, and fitted by enlarging it: 100 % is less than that.
    # There a pixel of the result covers more than one of the screen.
    page.get_by_role("button", name="100 %").click()
    expect(page.locator(".zoom-now")).to_have_text("100 % → 200 %")
    with page.expect_download() as caught:
        row(page, "coffee.png").get_by_role("link").click()
    assert pictures.pixels(caught.value.path().read_bytes()).shape == (200, 300, 3)


def test_equal_names_of_two_folders_come_back_in_their_folders_with_exif(page, tmp_path):
    exif = Image.Exif()
    exif[0x0110] = "Camera 5"
    for place, folder in enumerate(("monday", "tuesday")):
        (tmp_path / "trip" / folder).mkdir(parents=True)
        image = Image.fromarray(pictures.small(place))
        image.save(tmp_path / "trip" / folder / "IMG_0001.jpg", quality=92, exif=exif)
    page.get_by_label("Folder").set_input_files(str(tmp_path / "trip"))
    add_filter(page, "Inversion")
    expect(page.get_by_text("Camera data (EXIF, with any place)")).to_be_visible()
    process(page)
    names = [f"trip/{folder}/IMG_0001.jpg" for folder in ("monday", "tuesday")]
    for name in names:
        succeeds(page, name)
        # Both are called IMG_0001.jpg: the nearest folder is in sight in the narrow row.
        folder, base = (row(page, name).locator(f".path-{each}") for each in ("folder", "base"))
        for part in (folder, base):
            assert part.evaluate("each => each.clientWidth >= each.scrollWidth")
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download all 2").click()
    with zipfile.ZipFile(caught.value.path()) as archive:
        assert sorted(archive.namelist()) == ["manifest.json", *names]
        for name in names:
            assert Image.open(io.BytesIO(archive.read(name))).getexif()[0x0110] == "Camera 5"


def test_the_picker_finds_by_use_what_people_look_for(page):
    page.get_by_role("button", name="Add filter").click()
    # Common filters come first, conversions of colours do not.
    first = page.locator(".card strong")
    assert {"Crop", "Blurring", "Sharpening"} <= set(first.all_inner_texts()[:12])
    for words, title in (
        ("otsu", "Thresholding (Otsu)"),
        ("count", "Measure objects"),
        ("area", "Measure objects"),
        ("background", "Background (rolling ball)"),
        ("spots", "Blobs"),
    ):
        page.get_by_label("Search filters").fill(words)
        found = first.all_inner_texts()[:3]
        assert any(each.startswith(title) for each in found), (words, found)


def test_every_card_and_group_of_the_picker_has_a_picture_that_comes_when_it_is_seen(page):
    expect(page.get_by_role("button", name="Add filter")).to_be_visible()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    names = page.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
    assert not [each for each in names if each.endswith(".webp")]
    page.get_by_role("button", name="Add filter").click()
    cards = page.locator(".card")
    expect(cards.first.locator("img")).to_have_js_property("complete", True)
    # Far down they are not asked for yet.
    assert 0 < len([each for each in asked if each.endswith(".webp")]) < cards.count()
    assert cards.count() > 200
    for which in (".card", ".chip"):
        without = page.locator(f"{which}:not(:has(img))").all_inner_texts()
        assert without == ([] if which == ".card" else ["All"])
    page.locator(".chip", has_text="Measurements").click()
    for picture in page.locator(".card img").all():
        picture.scroll_into_view_if_needed()
        page.wait_for_function("each => each.naturalWidth > 0", arg=picture.element_handle())


def test_a_tablet_shows_the_picture_large_and_the_button_to_process(page):
    page.set_viewport_size(TABLET)
    choose(page, ("coffee.png", "image/png", pictures.png(data.coffee())))
    page.locator(".tabs").get_by_role("button", name="Filters").click()
    add_filter(page, "Inversion")
    expect(page.get_by_role("img", name="coffee.png, preview")).to_be_visible()
    stage = page.locator(".stage").bounding_box()
    assert stage["width"] * stage["height"] > 0.25 * TABLET["width"] * TABLET["height"]
    expect(page.get_by_role("button", name="Process 1 image")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= TABLET["width"]


def test_a_phone_shows_a_single_picture_at_once_and_the_list_of_several(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Coins").click()
    expect(page.locator(".stage")).to_be_in_viewport()
    page.locator(".tabs").get_by_role("button", name="Images").click()
    page.get_by_role("button", name="Remove coins.png").click()
    names = "first.png", "second.png"
    content = [pictures.png(pictures.small(number)) for number in range(2)]
    choose(page, *((name, "image/png", each) for name, each in zip(names, content, strict=True)))
    expect(row(page, "second.png")).to_be_in_viewport()


def test_a_phone_shows_the_preview_beside_the_slider_that_is_moved(page):
    page.set_viewport_size({"width": 390, "height": 844})
    choose(page, ("coffee.png", "image/png", pictures.png(data.coffee()[:200, :300])))
    page.locator(".tabs").get_by_role("button", name="Filters").click()
    add_filter(page, "Blurring")
    preview = page.get_by_role("img", name="coffee.png, preview")
    expect(preview).to_be_in_viewport()
    slider = page.get_by_role("slider", name="Sigma slider")
    slider.scroll_into_view_if_needed()
    before = preview.get_attribute("src")
    slider.press("PageUp")
    expect(preview).not_to_have_attribute("src", before)
    # Both at once, with nothing over the picture; the divider hides half of the preview.
    expect(preview).to_be_in_viewport(ratio=0.45)
    expect(slider).to_be_in_viewport(ratio=0.9)
    stage, bar = page.locator(".stage").bounding_box(), slider.bounding_box()
    assert stage["y"] + stage["height"] <= bar["y"]
    assert stage["height"] > 150


# Whether every part of something lies within it, to a pixel.
HOLDS = """(whole, parts) => {
    const own = whole.getBoundingClientRect();
    return [...whole.querySelectorAll(parts)].every(each => {
        const { left, right } = each.getBoundingClientRect();
        return left >= own.left - 1 && right <= own.right + 1;
    });
}"""


@pytest.mark.parametrize("size", [(320, 256), (390, 780), (820, 1100), (1360, 820)])
def test_marks_modes_and_histograms_have_room_on_every_screen(page, size):
    page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
    page.get_by_role("button", name="Nuclei, 16 bits").click()
    expect(page.locator(".preview-mark b")).to_have_text(re.compile("objects$"))
    mark, beside = (
        page.locator(each).bounding_box() for each in (".stretch-mark", ".preview-place")
    )
    assert mark["y"] + mark["height"] <= beside["y"]
    assert page.locator(".viewer-head .modes").evaluate(HOLDS, "span")
    page.get_by_role("button", name="Histogram").click()
    expect(page.locator(".histograms figure")).to_have_count(2)
    assert page.locator(".histograms").evaluate(HOLDS, "figure, select, button, svg")


def test_a_table_keeps_its_rows_below_histograms_and_measures(page):
    page.get_by_role("button", name="Nuclei, 16 bits").click()
    process(page)
    succeeds(page, "nuclei.tif")
    grid = page.get_by_role("grid")
    expect(grid).to_be_visible()
    height = grid.bounding_box()["height"]
    for name in ("Histogram", "Measure on the picture"):
        page.get_by_role("button", name=name, exact=True).click()
        assert grid.bounding_box()["height"] == height
        grid.scroll_into_view_if_needed()
        expect(grid).to_be_in_viewport(ratio=0.95)


def test_the_gallery_shows_its_tiles_at_400_percent(page):
    page.set_viewport_size({"width": 320, "height": 256})
    for number in range(2):
        content = pictures.png(pictures.small(number))
        choose(page, (f"{number}.png", "image/png", content))
    page.locator(".tabs").get_by_role("button", name="Images").click()
    page.get_by_role("button", name="Gallery").click()
    gallery = page.get_by_role("dialog", name="Gallery")
    for part in (gallery.locator("[data-tile]").first, gallery.get_by_text("Choose all shown")):
        part.scroll_into_view_if_needed()
        expect(part).to_be_in_viewport(ratio=0.9)
