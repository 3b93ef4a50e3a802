"""The list of images: their origin, their number, and what becomes of the results."""

import hashlib
import json
import re
import zipfile
from importlib.metadata import version

import pytest
from playwright.sync_api import expect
from skimage import data

from config import VERSION
from tests.app import pictures
from tests.site.pages import add_filter, choose, findings, print_figure, process, row, succeeds

pytestmark = pytest.mark.slow

HEAP_BYTES_MAX = 150 << 20


@pytest.mark.parametrize("count", [2000, pytest.param(10_000, marks=pytest.mark.long)])
def test_a_folder_of_thousands_of_files_stays_smooth(page, tmp_path, record_property, count):
    content = pictures.png(pictures.small(0))
    for number in range(count):
        (tmp_path / f"{number:04}.png").write_bytes(content + b"%d" % number)
    (tmp_path / "notes.txt").write_text("no image")
    page.evaluate(
        """() => {
            window.longest = 0;
            // The browser reads a folder before the page gets its event; that time does not count.
            let told = Infinity;
            document.addEventListener("change", () => { told = performance.now(); }, true);
            new PerformanceObserver(list => list.getEntries().forEach(each => {
                const ours = each.startTime + each.duration - Math.max(each.startTime, told);
                window.longest = Math.max(window.longest, ours);
            })).observe({entryTypes: ["longtask"]});
        }"""
    )
    page.get_by_label("Folder").set_input_files(str(tmp_path))
    heading = page.get_by_role("heading", name=f"Images {count:,}")
    # Chromium itself takes seconds to read a large folder.
    expect(heading).to_be_visible(timeout=200_000)
    # The page has only a few rows at a time; one key stroke reaches the last one.
    assert page.locator(".row").count() < 40
    # The folder belongs to the name, so that equal names of several folders stay apart.
    first = f"{tmp_path.name}/0000.png"
    row(page, first).get_by_role("button", name=f"Show {first}").press("End")
    expect(row(page, f"{tmp_path.name}/{count - 1}.png")).to_be_visible()
    page.locator(".rows").evaluate("box => box.scrollTo(0, box.scrollHeight / 2)")
    expect(row(page, f"{tmp_path.name}/{count // 2}.png")).to_be_visible()
    page.wait_for_timeout(1000)
    longest = page.evaluate("window.longest") / 1000
    heap = page.evaluate("performance.memory.usedJSHeapSize")
    record_property("longest task, seconds", longest)
    record_property("heap, bytes", heap)
    print_figure(f"{count} files: longest task {longest:.3f} s, heap {heap / 2**20:.0f} MiB")
    assert heap < HEAP_BYTES_MAX


def test_the_same_file_comes_once_and_the_same_name_is_remarked_on(page):
    content = pictures.png(pictures.small(1))
    choose(page, ("a.png", "image/png", content), ("a.png", "image/png", content + b"other"))
    expect(page.get_by_text("Another image has the same name")).to_be_visible()
    assert page.locator(".row").count() == 2


def test_all_results_come_as_one_zip_whose_manifest_is_true(page):
    names = ("a.png", "b.png", "c.png")
    images = [pictures.png(pictures.small(number)) for number in range(3)]
    choose(page, *((name, "image/png", image) for name, image in zip(names, images, strict=True)))
    add_filter(page, "Inversion")
    page.get_by_role("button", name="More settings of Output").click()
    page.get_by_label("Camera data").select_option("Leave out")
    process(page)
    for name in names:
        succeeds(page, name)
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download all 3").click()
    with zipfile.ZipFile(caught.value.path()) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        for name, image, entry in zip(names, images, manifest["images"], strict=True):
            content = archive.read(name)
            assert entry["name"] == name
            assert entry["bytes"] == len(content)
            assert entry["sha256"] == hashlib.sha256(content).hexdigest()
            expected = 255 - pictures.pixels(image)
            assert (pictures.pixels(content) == expected).all()
    made_with = {name: version(name) for name in ("scikit-image", "numpy")}
    assert manifest["versions"] == [{"app": VERSION, **made_with}]
    assert {entry["versions"] for entry in manifest["images"]} == {0}
    assert manifest["recipes"] == [
        {
            "steps": [{"operation": "invert"}],
            "format": "same",
            "depth": "input",
            "metadata": "strip",
        }
    ]
    # Only the next image is new, also after a reload.
    choose(page, ("d.png", "image/png", pictures.png(pictures.small(9))))
    process(page)
    succeeds(page, "d.png")
    page.reload()
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download 1 new").click()
    with zipfile.ZipFile(caught.value.path()) as archive:
        assert archive.namelist() == ["d.png", "manifest.json"]


def test_another_chain_runs_after_a_reload_without_sending_anything_again(page):
    choose(page, ("coffee.png", "image/png", pictures.png(data.coffee())))
    add_filter(page, "Inversion")
    process(page)
    succeeds(page, "coffee.png")
    page.reload()
    succeeds(page, "coffee.png")
    sent = []
    page.on(
        "request",
        lambda request: sent.append(request.url) if "dip-uploads" in request.url else None,
    )
    add_filter(page, "Grayscale")
    expect(page.get_by_text("1 image ready.")).to_be_visible()
    process(page)
    expect(page.get_by_text("1 of 1 done")).to_be_visible()
    succeeds(page, "coffee.png")
    with page.expect_download() as caught:
        row(page, "coffee.png").get_by_role("link").click()
    assert pictures.pixels(caught.value.path().read_bytes()).ndim == 2
    assert sent == []


def test_all_that_was_sent_can_be_deleted_at_once(page, app):
    choose(page, ("a.png", "image/png", pictures.png(pictures.small(2))))
    add_filter(page, "Inversion")
    process(page)
    succeeds(page, "a.png")
    url = row(page, "a.png").get_by_role("link").get_attribute("href")
    page.get_by_role("button", name="Delete now").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("All was deleted.").first).to_be_attached()
    assert page.locator(".row").count() == 0
    assert "#batch" not in page.url
    assert page.request.get(app.url + url).status == 404


def test_an_upload_is_paused_and_goes_on(page):
    stopped = []
    page.route(re.compile("dip-uploads"), lambda route: stopped.append(route))
    choose(page, ("a.png", "image/png", pictures.png(pictures.small(3))))
    add_filter(page, "Inversion")
    process(page)
    page.get_by_role("button", name="Pause a.png").click()
    expect(row(page, "a.png")).to_contain_text("Paused")
    page.unroute(re.compile("dip-uploads"))
    page.get_by_role("button", name="Resume a.png").click()
    succeeds(page, "a.png")


def test_the_gallery_shows_what_failed_and_saves_what_is_chosen(page):
    names = [f"{number}.png" for number in range(5)]
    choose(
        page,
        *((name, "image/png", pictures.png(pictures.small(int(name[0])))) for name in names),
        ("broken.jpg", "image/jpeg", pictures.jpeg(data.astronaut())[:20_000]),
    )
    add_filter(page, "Inversion")
    process(page)
    for name in names:
        succeeds(page, name)
    expect(row(page, "broken.jpg")).to_have_attribute("data-job-state", "failed")
    page.get_by_role("button", name="Gallery").press("Enter")
    gallery = page.get_by_role("dialog", name="Gallery")
    # The pictures are those of the results.
    expect(gallery.locator("[data-tile] img")).to_have_count(len(names))
    assert findings(page) == []
    gallery.get_by_role("button", name="Failed 1").click()
    expect(gallery.locator("[data-tile]")).to_have_count(1)
    gallery.get_by_role("button", name="Choose all shown").click()
    gallery.get_by_role("button", name="Remove 1").click()
    expect(gallery.get_by_text("No image is so just now.")).to_be_visible()
    gallery.get_by_role("button", name="All 5").click()
    gallery.get_by_label("Choose 1.png").click()
    gallery.get_by_label("Choose 3.png").click(modifiers=["Shift"])
    with page.expect_download() as caught:
        gallery.get_by_role("button", name="Download 3").click()
    with zipfile.ZipFile(caught.value.path()) as archive:
        assert archive.namelist() == ["1.png", "2.png", "3.png", "manifest.json"]
    gallery.get_by_role("button", name="Look at 4.png").click()
    expect(gallery).to_have_count(0)
    expect(page.get_by_role("img", name="4.png, after")).to_be_visible()
