"""Four people's jobs from the first moment to the result, filmed as strips of screenshots.

The strips are for people: they lie in `.run/films`, or in the folder that FILMS names; FEW=1 films
with few and small files. The tests check what came of each job.
"""

import csv
import io
import os
import re
import zipfile

import numpy as np
import pytest
import tifffile
from imagecodecs import jpeg8_decode, jpeg8_encode
from PIL import Image
from playwright.sync_api import expect
from skimage import data, filters, measure, util

from config.contract.settings import TOP
from tests.site.pages import add_filter, findings, pointed, print_figure, process, row, until
from tests.site.strips import Strip

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

FOLDER = os.environ.get("FILMS", str(TOP / ".run" / "films"))
FEW = "FEW" in os.environ
PHOTOGRAPHS = 6 if FEW else 150
SIDE = 8_000 if FEW else 20_000
TILE = 256
SECONDS = 1000


def film(page, name):
    return Strip(page, name, FOLDER)


def ended(strip):
    print_figure(f"{strip.name}: {strip.clicks} clicks, {strip.seconds:.0f} s, {strip.save()}")


def test_a_first_visit_ends_with_a_result_after_four_clicks_at_most(page):
    strip = film(page, "first-visit")
    strip.shot("The page")
    page.get_by_role("button", name="Nuclei, 16 bits").click()
    expect(page.locator(".preview-mark b")).to_have_text(re.compile(r"^\d\d objects$"))
    strip.shot("A sample is chosen: its preview is counted")
    process(page)
    expect(row(page, "nuclei.tif")).to_have_attribute("data-job-state", "succeeded")
    expect(page.get_by_role("img", name="How the rows spread over Area")).to_be_visible()
    strip.shot("Processed: a table of all objects")
    with page.expect_download() as caught:
        page.get_by_role("link", name="Download CSV").click()
    assert len(list(csv.reader(io.StringIO(caught.value.path().read_text())))) > 10
    strip.shot("Its numbers are saved")
    assert strip.clicks <= 4
    ended(strip)


def stack():
    """Return planes of nuclei in 16 bits, with a pixel size."""
    random = np.random.default_rng(3)
    rows, columns = np.mgrid[:512, :512]
    planes = 500 + random.normal(0, 30, (5, 512, 512))
    for row_, column, radius in random.uniform((20, 20, 9), (492, 492, 16), (40, 3)):
        far = np.hypot(rows - row_, columns - column) / radius
        for z in range(5):
            planes[z] += 7000 / (1 + np.exp(9 * (far - 1))) / (1 + abs(z - 2))
    return planes.clip(0, 65_535).astype(np.uint16)


def test_a_biologist_counts_the_nuclei_of_a_stack(page):
    planes = stack()
    buffer = io.BytesIO()
    size = {"PhysicalSizeX": 0.325, "PhysicalSizeY": 0.325}
    units = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite(buffer, planes, ome=True, metadata={"axes": "ZYX", **size, **units})
    strip = film(page, "biologist")
    file = {"name": "embryo.ome.tif", "mimeType": "image/tiff", "buffer": buffer.getvalue()}
    page.get_by_label("Choose images").set_input_files([file])
    expect(page.get_by_role("img", name="embryo.ome.tif, before")).to_be_visible()
    page.get_by_role("slider", name="Slice").fill("2")
    expect(page.get_by_role("slider", name="Slice")).to_have_attribute(
        "aria-valuetext", "Slice 3 of 5"
    )
    strip.shot("A stack of 16 bits, at its middle slice")
    page.get_by_role("button", name="Count objects").click()
    expect(page.get_by_role("img", name="embryo.ome.tif, preview")).to_be_visible()
    strip.shot("Count objects: the preview")
    page.keyboard.press("m")
    expect(page.get_by_role("region", name="Statistics of the rectangle")).to_be_visible()
    page.get_by_text("Line", exact=True).click()
    expect(
        page.get_by_role("img", name=re.compile("^Values along the line, Before"))
    ).to_be_visible()
    strip.shot("Values along a line, in micrometres")
    page.keyboard.press("m")
    process(page)
    expect(row(page, "embryo.ome.tif")).to_have_attribute(
        "data-job-state", "succeeded", timeout=120_000
    )
    expect(page.get_by_role("grid", name="Table: Measure objects")).to_be_visible()
    strip.shot("Counted in every slice")
    # A row of another slice leads there.
    page.locator("[aria-rowindex='2']").click()
    expect(page.get_by_role("slider", name="Slice")).to_have_attribute(
        "aria-valuetext", "Slice 1 of 5"
    )
    expect(page.locator(".region")).to_have_count(1)
    strip.shot("A row leads to its slice")
    with page.expect_download() as caught:
        page.get_by_role("link", name="Download CSV").click()
    rows = list(csv.DictReader(io.StringIO(caught.value.path().read_text())))
    for z, plane in enumerate(planes):
        blurred = filters.gaussian(util.img_as_float32(plane), 2.0)
        objects = measure.label(blurred > filters.threshold_otsu(blurred)).max()
        assert sum(each["plane"] == str(z + 1) for each in rows) == objects
    assert findings(page) == []
    ended(strip)


def photographs(folder):
    """Write JPEGs of 12 megapixels with EXIF in two folders; return their names in the zip."""
    image = np.tile(data.astronaut(), (6, 8, 1))[:3000, :4000]
    names = []
    for number in range(PHOTOGRAPHS):
        exif = Image.Exif()
        exif[0x010F], exif[0x0110], exif[0x0131] = "Maker", "Camera 5", f"roll {number}"
        part = "morning" if number % 2 else "evening"
        path = folder / "trip" / part / f"IMG_{number // 2:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number == 0:
            content = io.BytesIO()
            Image.fromarray(image).save(content, "JPEG", quality=90, exif=exif)
            # Behind JFIF and EXIF comes what all of them have; only the EXIF is made anew.
            rest = content.getvalue()[2:]
            while rest[1] in (0xE0, 0xE1):
                rest = rest[2 + int.from_bytes(rest[2:4]) :]
        head = b"\xff\xd8\xff\xe1" + (len(exif.tobytes()) + 2).to_bytes(2) + exif.tobytes()
        path.write_bytes(head + rest)
        names.append(f"trip/{part}/{path.name}")
    return sorted(names)


def test_a_photographer_sends_folders_and_gets_a_zip_with_the_same_folders(page, tmp_path):
    names = photographs(tmp_path)
    strip = film(page, "photographer")
    page.get_by_label("Folder").set_input_files(str(tmp_path / "trip"))
    expect(page.get_by_role("heading", name=f"Images {PHOTOGRAPHS}")).to_be_visible()
    strip.shot("A folder with folders is dropped")
    add_filter(page, "Resize (longest side)")
    page.get_by_role("spinbutton", name="Longest side").fill("2048")
    add_filter(page, "Sharpening")
    page.get_by_label("Output format").select_option("jpeg")
    page.get_by_role("button", name="More settings of Output").click()
    page.get_by_role("checkbox", name="Quality automatic").uncheck()
    page.get_by_role("spinbutton", name="Quality").fill("85")
    expect(page.locator(".dimensions")).to_have_text("4000 × 3000 → 2048 × 1536")
    expect(page.get_by_text(re.compile("^(Approximate )?[Pp]review$"))).to_be_visible()
    strip.shot("Longest side 2,048, sharpened, JPEG 85")
    process(page)
    page.wait_for_timeout(8000)
    strip.shot("Under way")
    done = page.get_by_role("button", name=f"Download all {PHOTOGRAPHS}")
    expect(done).to_be_visible(timeout=1000 * SECONDS)
    strip.shot("Done: sizes before and after")
    page.get_by_role("button", name="Gallery").click()
    expect(
        page.get_by_role("dialog", name="Gallery").locator("[data-tile] img").first
    ).to_be_visible()
    page.wait_for_timeout(1500)
    strip.shot("The gallery")
    page.keyboard.press("Escape")
    with page.expect_download(timeout=1000 * SECONDS) as caught:
        done.click()
    with zipfile.ZipFile(caught.value.path()) as archive:
        found = sorted(set(archive.namelist()) - {"manifest.json"})
        assert found == names
        for name in (names[0], names[-1]):
            image = Image.open(io.BytesIO(archive.read(name)))
            assert (image.format, image.size) == ("JPEG", (2048, 1536))
            assert image.getexif()[0x0110] == "Camera 5"
    strip.shot("One zip with the same folders")
    ended(strip)


def slide(path, side):
    """Write a slide of `side` rows and columns: one tile over and over; return that tile."""
    tile = data.immunohistochemistry()[:TILE, :TILE]
    content = jpeg8_encode(tile, level=85, outcolorspace="ycbcr", subsampling="444")
    options = {"tile": (TILE, TILE), "compression": "jpeg", "photometric": "ycbcr"}
    with tifffile.TiffWriter(path) as file:
        for level in range(6):
            rows = side >> level
            across = -(-rows // TILE)
            file.write(
                (content for _ in range(across * across)),
                shape=(rows, rows, 3),
                dtype=np.uint8,
                subsampling=(1, 1),
                subfiletype=1 if level else 0,
                metadata=None,
                **options,
            )
    return jpeg8_decode(content)


def test_a_slide_is_zoomed_before_and_after_with_the_values_of_its_file(page, tmp_path):
    path = tmp_path / "slide.tif"
    tile = slide(path, SIDE)
    print_figure(f"slide of {path.stat().st_size / 1e6:.0f} MB")
    strip = film(page, "slide")
    page.get_by_label("Choose images").set_input_files(str(path))
    expect(page.get_by_role("img", name="slide.tif, before")).to_be_visible(timeout=60_000)
    strip.shot("A slide of 400 megapixels, before anything is sent")
    add_filter(page, "Inversion")
    page.get_by_label("Output format").select_option("jpeg")
    expect(page.get_by_role("img", name="slide.tif, preview")).to_be_visible()
    strip.shot("The preview of a filter")
    process(page)
    page.wait_for_timeout(5000)
    strip.shot("Under way")
    expect(row(page, "slide.tif")).to_have_attribute(
        "data-job-state", "succeeded", timeout=1000 * SECONDS
    )
    expect(page.locator(".tiles canvas")).to_have_count(2, timeout=1000 * SECONDS)
    page.wait_for_timeout(8000)
    strip.shot("Before and after in deep zoom")
    page.get_by_role("button", name="100 %").click()
    page.wait_for_timeout(8000)
    strip.shot("At 100 %")
    stage = page.get_by_role("group", name="Picture")
    for _ in range(9):
        stage.press("+")
    page.wait_for_timeout(8000)

    def is_the_files():
        (x, y), values = pointed(page, 200, 150)
        return [int(each) for each in values[0].split()] == tile[y % TILE, x % TILE].tolist()

    until(page, is_the_files, "the values of the file under the pointer")
    strip.shot("Single pixels, with the values of the file")
    ended(strip)
