"""How results are written and named: what each format offers, patterns, and folders."""

import io
import re
import zipfile
from datetime import UTC, datetime

import pytest
import tifffile
from PIL import Image
from playwright.sync_api import expect
from skimage import data

from config.contract.writing import FORMATS, OPTIONS
from tests.app import pictures
from tests.site.pages import add_filter, choose, process, row, succeeds

pytestmark = pytest.mark.slow

COFFEE = ("coffee.png", "image/png", pictures.png(data.coffee()))
TITLES = {"jpeg": "JPEG", "png": "PNG", "webp": "WebP", "tiff": "TIFF"}
TITLES |= {"avif": "AVIF", "jpegxl": "JPEG XL", "gif": "GIF", "zarr": "OME-Zarr (zip)"}


def offered(page):
    """Return the names of the options of writing that the panel shows."""
    fields = page.locator(".output [id^='write-']:not([id$='-help'])")
    return fields.evaluate_all("all => all.map(each => each.id.replace('write-', ''))")


def saved(page, name):
    with page.expect_download() as caught:
        row(page, name).get_by_role("link").click()
    return caught.value.path().read_bytes()


def test_each_format_offers_what_is_declared_for_it_and_nothing_else(page):
    page.get_by_role("button", name="More settings of Output").click()
    expect(page.get_by_label("Camera data")).to_be_visible()
    assert offered(page) == []
    choice = page.get_by_label("Output format")
    for form, title in TITLES.items():
        choice.select_option(title)
        declared = [name for name in OPTIONS if form in FORMATS[name]]
        # Colours of a TIFF are halved in JPEG only.
        wanted = [name for name in declared if (form, name) != ("tiff", "subsampling")]
        assert offered(page) == wanted
    choice.select_option("TIFF")
    for name in ("compression", "layout"):
        values = page.locator(f"#write-{name} option").evaluate_all("all => all.map(e => e.value)")
        assert values == ["", *OPTIONS[name]["enum"]]
    page.get_by_label("Compression", exact=True).select_option("JPEG, with loss")
    assert set(offered(page)) == {"compression", "layout", "subsampling"}
    expect(page.get_by_role("spinbutton", name="Quality")).to_have_count(1)
    # What the next format does not have is not sent, nor shown.
    choice.select_option("JPEG")
    assert page.get_by_label("Detail of colours", exact=True).input_value() == ""


def test_results_are_written_as_the_panel_says(page):
    choose(page, COFFEE)
    add_filter(page, "Inversion")
    page.get_by_role("button", name="More settings of Output").click()
    page.get_by_label("Output format").select_option("TIFF")
    page.get_by_label("Compression", exact=True).select_option("LZW, no loss")
    page.get_by_label("Layout of the file", exact=True).select_option("Tiles and smaller copies")
    process(page)
    succeeds(page, "coffee.png")
    with tifffile.TiffFile(io.BytesIO(saved(page, "coffee.png"))) as file:
        assert file.pages[0].compression == tifffile.COMPRESSION.LZW
        assert file.pages[0].is_tiled
        assert len(file.series[0].levels) > 1
    page.get_by_label("Output format").select_option("JPEG")
    page.get_by_label("Largest file automatic").uncheck()
    page.get_by_role("spinbutton", name="Largest file").fill("20")
    # The quality is what is searched.
    expect(page.get_by_role("spinbutton", name="Quality")).to_have_count(0)
    process(page)
    expect(row(page, "coffee.png")).to_contain_text(re.compile(r"→ (19|20)\b"), timeout=60_000)
    succeeds(page, "coffee.png")
    content = saved(page, "coffee.png")
    assert Image.open(io.BytesIO(content)).format == "JPEG"
    assert 15_000 < len(content) <= 20_000
    # A reload brings it back with the batch.
    page.reload()
    succeeds(page, "coffee.png")
    expect(page.get_by_role("spinbutton", name="Largest file")).to_have_value("20")


def test_names_follow_the_pattern_and_folders_keep_their_depth(page, tmp_path):
    paths = ["trip/a/b/c/scan.png", "trip/a/scan.png", "trip/scan.png"]
    for place, path in enumerate(paths):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(pictures.png(pictures.small(place)))
    page.get_by_label("Folder").set_input_files(str(tmp_path / "trip"))
    for path in paths:
        expect(row(page, path)).to_be_visible()
    add_filter(page, "Inversion")
    page.get_by_role("button", name="More settings of Output").click()
    pattern = page.get_by_role("textbox", name="Names")
    pattern.fill("{date}/{name}_{number}:done")
    today = datetime.now(UTC).date().isoformat()
    expect(page.get_by_text(f"For example trip/a/b/c/{today}_scan_0001_done.png")).to_be_visible()
    pattern.fill("{name}_{number}")
    process(page)
    for path in paths:
        succeeds(page, path)
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download all 3").click()
    with zipfile.ZipFile(caught.value.path()) as archive:
        assert archive.namelist() == [
            "trip/a/b/c/scan_0001.png",
            "trip/a/scan_0002.png",
            "trip/scan_0003.png",
            "manifest.json",
        ]
        for place, path in enumerate(paths):
            content = archive.read(path.replace("scan", f"scan_{place + 1:04}"))
            inverted = 255 - pictures.small(place)
            assert (pictures.pixels(content) == inverted).all()


def room_of_filters(page):
    """Return the height of what scrolls around the first filter, and whether it shows it whole."""
    return page.locator(".step").first.evaluate(
        """each => {
            let box = each.parentElement;
            while (!["auto", "scroll"].includes(getComputedStyle(box).overflowY)) {
                box = box.parentElement;
            }
            each.scrollIntoView({block: "nearest"});
            const [own, its] = [box.getBoundingClientRect(), each.getBoundingClientRect()];
            return [own.height, its.top >= own.top - 1 && its.bottom <= own.bottom + 1];
        }"""
    )


@pytest.mark.parametrize("width", [1360, 1000], ids=["desktop", "tablet"])
def test_open_panels_of_reading_and_output_leave_the_filters_their_room(page, width):
    page.set_viewport_size({"width": width, "height": 700})
    choose(page, COFFEE)
    if width < 1100:
        page.get_by_role("button", name="Filters").click()
    add_filter(page, "Blurring")
    add_filter(page, "Sharpening")
    expect(page.locator(".step")).to_have_count(2)
    before, _ = room_of_filters(page)
    page.get_by_label("Output format").select_option("JPEG")
    for name in ("More settings of Output", "How the file is read"):
        page.get_by_role("button", name=name).click()
        after, is_whole = room_of_filters(page)
        assert after >= before
        assert is_whole
    # What is opened comes into sight.
    opener = page.get_by_role("button", name="More settings of Output")
    opener.click()
    opener.click()
    expect(page.get_by_role("checkbox", name="Quality automatic")).to_be_in_viewport(ratio=1)
