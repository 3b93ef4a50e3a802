"""From pixels to numbers: objects are counted and measured, and found again in the picture."""

import csv
import io
import re

import numpy as np
import pytest
import tifffile
from playwright.sync_api import expect
from skimage import filters, measure, util

from tests.site.pages import add_filter, choose, findings, print_figure, process, succeeds

pytestmark = pytest.mark.slow

MEASURED = [
    *("label", "area", "centroid", "equivalent_diameter_area", "eccentricity"),
    *("intensity_mean", "intensity_max", "bbox"),
]
# Of sums and square roots in double precision, in another order.
DIFFERENCE_MAX = 1e-9


def nuclei(seed, count=40, side=300):
    """Draw nuclei as a fluorescence microscope shows them, in 16 bits."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    image = 600 + random.normal(0, 40, (side, side))
    for row_, column, radius, light in zip(
        random.uniform(0, side, count),
        random.uniform(0, side, count),
        random.uniform(7, 13, count),
        random.uniform(4000, 12_000, count),
        strict=True,
    ):
        far = np.hypot(rows - row_, columns - column) / radius
        image += light / (1 + np.exp(9 * (far - 1)))
    return image.clip(0, 65_535).astype(np.uint16)


def tiff(image):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, compression="zlib")
    return buffer.getvalue()


def counted(image):
    """Return labels and table of the preset "Count objects", by scikit-image alone."""
    blurred = filters.gaussian(util.img_as_float32(image), 2.0)
    labels = measure.label(blurred > filters.threshold_otsu(blurred))
    return labels, measure.regionprops_table(labels, image, properties=MEASURED)


def read(content):
    """Read a CSV as its names and rows of words."""
    names, *rows = csv.reader(io.StringIO(content))
    return names, rows


def saved(page, button):
    with page.expect_download() as caught:
        button.click()
    return caught.value.path().read_text()


def assert_measured(content, expected):
    """Compare a CSV with a table of scikit-image: names, order, integers and floats."""
    names, rows = read(content)
    assert names == list(expected)
    found = np.array(rows, float)
    largest = 0.0
    for column, (name, values) in zip(found.T, expected.items(), strict=True):
        if np.issubdtype(values.dtype, np.integer):
            assert (column == values).all(), name
        scale = np.maximum(1, np.abs(values))
        largest = max(largest, float((np.abs(column - values) / scale).max()))
    print_figure(f"{len(rows)} objects, largest difference to scikit-image {largest:.1e}")
    assert largest < DIFFERENCE_MAX


def test_a_biologist_counts_cells_and_gets_the_numbers_of_scikit_image(page):
    images = {f"plate {number}.tif": nuclei(number) for number in (1, 2)}
    choose(page, *((name, "image/tiff", tiff(image)) for name, image in images.items()))
    page.get_by_role("button", name="Count objects").click()
    process(page)
    for name in images:
        succeeds(page, name)
    first, second = images
    labels, expected = counted(images[first])
    expect(page.get_by_text(f"{labels.max()} objects", exact=True)).to_be_visible()
    grid = page.get_by_role("grid", name="Table: Measure objects")
    expect(grid).to_have_attribute("aria-rowcount", str(labels.max() + 1))
    link = page.get_by_role("link", name="Download CSV")
    assert_measured(saved(page, link), expected)
    # The largest come first; the first one is outlined in the picture.
    grid.get_by_role("button", name="Area").click()
    largest = int(expected["area"].argmax())
    top = grid.locator("[aria-rowindex='2']")
    expect(top.get_by_role("gridcell").first).to_have_text(str(expected["label"][largest]))
    top.click()
    expect(page.locator(".region")).to_have_text(str(expected["label"][largest]))
    grid.press("ArrowDown")
    expect(grid.locator("[aria-rowindex='3']")).to_have_attribute("aria-selected", "true")
    assert findings(page) == []
    # The tables of both images as one.
    joined = saved(page, page.get_by_role("button", name="One CSV of 2 images"))
    names, rows = read(joined)
    assert names == ["image", "plane", "path", *expected]
    assert [each[2] for each in rows].count(first) == labels.max()
    assert {each[0] for each in rows} == {first, second}


def test_areas_of_a_file_with_a_pixel_size_are_told_in_micrometres_too(page):
    image = nuclei(5)
    buffer = io.BytesIO()
    # An area in µm² is a quarter of that in pixels.
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(buffer, image, ome=True, metadata={"axes": "YX", **size})
    choose(page, ("plate.tif", "image/tiff", buffer.getvalue()))
    page.get_by_role("button", name="Count objects").click()
    process(page)
    succeeds(page, "plate.tif")
    _, expected = counted(image)
    areas = expected["area"]

    def assert_told():
        head = page.get_by_role("columnheader").all_inner_texts()
        head = [" ".join(each.split()) for each in head]
        assert [each for each in head if "Area" in each] == ["Area px²", "Area µm²"]
        assert "Diameter µm" in head
        first = page.locator("[aria-rowindex='2']").get_by_role("gridcell").all_inner_texts()
        cells = dict(zip(head, map(float, first), strict=True))
        assert cells["Area px²"] == areas[0]
        assert cells["Area µm²"] == pytest.approx(areas[0] / 4)
        expect(page.locator(".table-summary")).to_contain_text(f"{areas.max() / 4:,.6g} µm²")

    expect(page.get_by_role("grid")).to_be_visible()
    assert_told()
    # The service keeps it: the file itself is gone after a reload.
    page.reload()
    expect(page.get_by_role("grid")).to_be_visible()
    assert_told()


def test_cells_that_touch_are_counted_one_by_one(page):
    rows, columns = np.mgrid[:120, :200]
    discs = [np.hypot(rows - 60, columns - centre) < 24 for centre in (60, 98, 170)]
    image = (1000 + 9000 * np.any(discs, axis=0)).astype(np.uint16)
    choose(page, ("touching.tif", "image/tiff", tiff(image)))
    page.get_by_role("button", name="Count cells").click()
    process(page)
    succeeds(page, "touching.tif")
    # Two of them would be one object for "Count objects".
    expect(page.get_by_text("3 objects", exact=True)).to_be_visible()


def test_a_press_on_an_object_leads_to_its_row(page):
    image = nuclei(3)
    labels, expected = counted(image)
    choose(page, ("plate.tif", "image/tiff", tiff(image)))
    page.get_by_role("button", name="Count objects").click()
    process(page)
    succeeds(page, "plate.tif")
    grid = page.get_by_role("grid")
    expect(grid).to_be_visible()
    page.get_by_text("Overlay", exact=True).click()
    page.get_by_role("slider", name="How strong the colours are").press("ArrowRight")
    picture = page.get_by_role("img", name="plate.tif, after")
    expect(picture).to_be_visible()
    wanted = int(expected["area"].argmax())
    row_, column = (expected[f"centroid-{axis}"][wanted] + 0.5 for axis in (0, 1))
    assert labels[int(row_), int(column)] == expected["label"][wanted]
    chosen = grid.locator("[aria-selected='true']").get_by_role("gridcell").first

    # The picture may still come, or move while the page is laid out: press until it is at rest.
    def press_it():
        box = picture.bounding_box()
        unit = box["width"] / image.shape[1]
        page.mouse.click(box["x"] + column * unit, box["y"] + row_ * unit)
        page.wait_for_timeout(300)
        return chosen.count() == 1 and chosen.inner_text() == str(expected["label"][wanted])

    assert any(press_it() for _ in range(20))


def test_what_a_step_measures_can_be_chosen_and_a_step_that_is_gone_is_told(page):
    image = nuclei(4)
    choose(page, ("plate.tif", "image/tiff", tiff(image)))
    for title in ("Blurring", "Thresholding (Otsu)", "Label regions"):
        add_filter(page, title)
    page.get_by_role("button", name="Add filter").click()
    page.get_by_label("Search filters").fill("count")
    page.keyboard.press("Enter")
    measured = page.get_by_label("Brightness measured on")
    expect(measured).to_have_value("original")
    measured.select_option("1: Blurring")
    page.get_by_label("Eccentricity (0 if round)").uncheck()
    page.get_by_role("button", name="Switch Blurring off").click()
    expect(page.get_by_text("Choose another image.")).to_be_visible()
    expect(page.get_by_text("A filter holds a value that cannot be used.")).to_be_visible()
    page.get_by_role("button", name="Switch Blurring on").click()
    page.get_by_role("button", name="More for Thresholding (Otsu)").click()
    page.get_by_role("button", name="Keep its image as a result, too").click()
    process(page)
    succeeds(page, "plate.tif")
    content = saved(page, page.get_by_role("link", name="Download CSV"))
    names, rows = read(content)
    assert "eccentricity" not in names
    # The blurred image is in floats of 0…1.
    brightest = max(float(each[names.index("intensity_max")]) for each in rows)
    assert 0 < brightest < 1
    kept = page.get_by_label("Images of steps that were kept").get_by_role("link")
    with page.expect_download() as caught:
        kept.click()
    blurred = filters.gaussian(util.img_as_float32(image), 1.0)
    mask = tifffile.imread(caught.value.path()) > 0
    assert (mask == (blurred > filters.threshold_otsu(blurred))).all()
    page.reload()
    expect(measured).to_have_value(re.compile("^(?!original)"))
    expect(page.get_by_role("grid")).to_be_visible()


def test_the_sample_of_nuclei_is_counted_in_two_presses(page):
    page.get_by_role("button", name="Nuclei, 16 bits").click()
    # They are counted on the preview as well, which is not scaled down.
    counted_before = page.locator(".preview-mark b")
    expect(counted_before).to_have_text(re.compile(r"^\d\d objects$"))
    count = counted_before.inner_text()
    process(page)
    succeeds(page, "nuclei.tif")
    expect(page.locator(".table-count")).to_have_text(count)
    expect(page.get_by_role("img", name="How the rows spread over Area")).to_be_visible()
