"""The four jobs of the films by keyboard alone: no pointer, and the focus is seen at every stop."""

import csv
import io
import re
import zipfile

import pytest
import tifffile
from PIL import Image
from playwright.sync_api import expect

from tests.app import pictures
from tests.site.pages import succeeds, until
from tests.site.test_films import TILE, slide, stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

STOPS_MAX = 150
SIDE = 6000

# What is wrong with where the focus is; "" if it is seen.
FOCUS = """() => {
    const at = document.activeElement;
    if (!at || at === document.body) return "";
    const name = at.getAttribute("aria-label") ?? at.labels?.[0]?.innerText ?? at.innerText;
    // An input that is not seen itself is shown by its label, or by what stands beside it.
    const around = [at, at.nextElementSibling, at.parentElement, ...(at.labels ?? [])];
    const hasOutline = (each, part) => {
        const {outlineStyle, outlineWidth} = getComputedStyle(each, part);
        return outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
    };
    const outlined = around.filter(each => each?.getBoundingClientRect().width > 2).find(
        each => [null, "::before", "::after"].some(part => hasOutline(each, part))
    ) ?? [...at.children].find(each => hasOutline(each, null));
    if (!outlined) return `${at.tagName} “${name}” has no outline`;
    const box = outlined.getBoundingClientRect();
    const isBeside = box.right <= 0 || box.left >= innerWidth;
    if (isBeside || box.bottom <= 0 || box.top >= innerHeight) {
        return `${at.tagName} “${name}” is out of sight`;
    }
    const isCovered = [0.2, 0.5, 0.8].every(part => {
        const x = Math.min(innerWidth - 1, Math.max(0, box.x + part * box.width));
        const y = Math.min(innerHeight - 1, Math.max(0, box.y + part * box.height));
        const top = document.elementFromPoint(x, y);
        return top && !outlined.contains(top) && !top.contains(outlined);
    });
    return isCovered ? `${at.tagName} “${name}” is covered` : "";
}"""


class Keys:
    """A visitor without a pointer.

    Attributes
    ----------
    unseen : list of str
        Stops of the focus that a visitor could not see.
    """

    def __init__(self, page):
        self.page = page
        self.unseen = []
        # Keys work once the page's script has come.
        page.get_by_role("button", name="Add filter").wait_for()
        page.evaluate(
            "window.presses = 0;"
            "window.addEventListener('pointerdown', () => { window.presses += 1 }, true)"
        )

    def to(self, control, way="Tab"):
        """Move the focus to a control, as Tab does."""
        expect(control).to_be_visible()
        for _ in range(STOPS_MAX):
            if control.evaluate("each => each === document.activeElement"):
                return
            self.page.keyboard.press(way)
            if told := self.page.evaluate(FOCUS):
                self.unseen.append(told)
        raise AssertionError(f"{control} cannot be reached by {way}")

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def fill(self, control, words):
        """Put words in place of those of a field."""
        self.to(control)
        self.press("Control+A")
        self.page.keyboard.type(words)
        self.press("Tab")

    def add_filter(self, words):
        """Pick the first filter that is found for words."""
        self.press("/")
        search = self.page.get_by_label("Search filters")
        expect(search).to_be_focused()
        self.page.keyboard.type(words)
        self.press("Enter")
        expect(self.page.get_by_role("dialog")).to_have_count(0)

    def choose(self, key, files):
        """Choose files in the dialog that a key opens."""
        with self.page.expect_file_chooser() as caught:
            self.press(key)
        caught.value.set_files(files)

    def saved(self, key):
        """Return the path of the download that a key begins."""
        with self.page.expect_download() as caught:
            self.press(key)
        return caught.value.path()

    def done(self):
        assert self.page.evaluate("window.presses") == 0
        assert sorted(set(self.unseen)) == []


def test_a_first_visit_by_keys(page):
    keys = Keys(page)
    keys.to(page.get_by_role("button", name="Nuclei, 16 bits"))
    keys.press("Enter")
    expect(page.locator(".preview-mark b")).to_have_text(re.compile(r"^\d\d objects$"))
    keys.press("Control+Enter")
    succeeds(page, "nuclei.tif")
    keys.to(page.get_by_role("link", name="Download CSV"))
    assert len(list(csv.reader(io.StringIO(keys.saved("Enter").read_text())))) > 10
    keys.done()


def test_a_biologist_counts_and_measures_by_keys(page, tmp_path):
    path = tmp_path / "embryo.ome.tif"
    size = {"PhysicalSizeX": 0.325, "PhysicalSizeY": 0.325}
    units = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    planes = stack()[:, :256, :256]
    tifffile.imwrite(path, planes, ome=True, metadata={"axes": "ZYX", **size, **units})
    keys = Keys(page)
    keys.choose("o", path)
    expect(page.get_by_role("img", name="embryo.ome.tif, before")).to_be_visible()
    slices = page.get_by_role("slider", name="Slice")
    keys.to(slices)
    keys.press("Home", "ArrowRight", "ArrowRight")
    expect(slices).to_have_attribute("aria-valuetext", "Slice 3 of 5")
    keys.to(page.get_by_role("button", name="Count objects"))
    keys.press("Enter")
    expect(page.get_by_role("img", name="embryo.ome.tif, preview")).to_be_visible()
    # The focus stays where the visitor was: at the filters.
    keys.press("m")
    keys.to(page.get_by_role("slider", name="Second corner"))
    keys.press("ArrowLeft")
    expect(page.get_by_role("region", name="Statistics of the rectangle")).to_be_visible()
    keys.to(page.get_by_role("radio", name="Rectangle"))
    keys.press("ArrowRight")
    expect(page.get_by_role("img", name="Values along the line, Before")).to_be_visible()
    keys.to(page.get_by_role("slider", name="End of the line"))
    keys.press("ArrowUp", "m")
    keys.press("Control+Enter")
    succeeds(page, "embryo.ome.tif", 120)
    grid = page.get_by_role("grid", name="Table: Measure objects")
    keys.to(grid)
    keys.press("ArrowDown")
    expect(page.locator(".region")).to_have_count(1)
    keys.to(page.get_by_role("link", name="Download CSV"), "Shift+Tab")
    rows = list(csv.DictReader(io.StringIO(keys.saved("Enter").read_text())))
    assert {each["plane"] for each in rows} == set("12345")
    keys.done()


def test_a_photographer_sends_a_folder_and_saves_a_zip_by_keys(page, tmp_path):
    names = []
    for number in range(4):
        part = tmp_path / "trip" / ("morning" if number % 2 else "evening")
        part.mkdir(parents=True, exist_ok=True)
        image = pictures.small(number).repeat(4, 0).repeat(4, 1)
        (part / f"{number}.jpg").write_bytes(pictures.jpeg(image))
        names.append(f"trip/{part.name}/{number}.jpg")
    keys = Keys(page)
    keys.to(page.locator("#choose-folder"))
    keys.choose("Enter", tmp_path / "trip")
    expect(page.get_by_role("heading", name="Images 4")).to_be_visible()
    keys.add_filter("longest side")
    keys.fill(page.get_by_role("spinbutton", name="Longest side"), "100")
    keys.add_filter("sharpening")
    keys.to(page.get_by_label("Output format"))
    page.keyboard.type("JPEG")
    expect(page.get_by_label("Output format")).to_have_value("jpeg")
    keys.to(page.get_by_role("button", name="More settings of Output"))
    keys.press("Enter")
    keys.to(page.get_by_role("checkbox", name="Quality automatic"))
    keys.press("Space")
    keys.fill(page.get_by_role("spinbutton", name="Quality"), "85")
    keys.press("Control+Enter")
    for name in names:
        succeeds(page, name)
    keys.press("g")
    gallery = page.get_by_role("dialog", name="Gallery")
    for name in names[:2]:
        keys.to(gallery.get_by_label(f"Choose {name}"))
        keys.press("Space")
    keys.to(gallery.get_by_role("button", name="Compare 2"))
    keys.press("Enter")
    panes = page.get_by_role("group", name="Pictures: arrow keys move all")
    expect(panes).to_be_focused()
    keys.press("+", "ArrowRight", "Escape", "Escape")
    with zipfile.ZipFile(keys.saved("d")) as archive:
        assert sorted(set(archive.namelist()) - {"manifest.json"}) == sorted(names)
        for name in names:
            image = Image.open(io.BytesIO(archive.read(name)))
            assert (image.format, max(image.size)) == ("JPEG", 100)
    keys.done()


def test_a_slide_is_zoomed_and_its_values_are_read_by_keys(page, tmp_path):
    path = tmp_path / "slide.tif"
    tile = slide(path, SIDE)
    keys = Keys(page)
    keys.choose("o", path)
    expect(page.get_by_role("img", name="slide.tif, before")).to_be_visible(timeout=60_000)
    keys.add_filter("inversion")
    expect(page.get_by_role("img", name="slide.tif, preview")).to_be_visible()
    keys.press("Control+Enter")
    succeeds(page, "slide.tif", 200)
    expect(page.locator(".tiles canvas")).to_have_count(2, timeout=60_000)
    divider = page.get_by_role("slider", name="Divider between before and after")
    keys.to(divider)
    keys.press("End")
    expect(divider).to_have_attribute("aria-valuenow", "99")
    keys.to(page.get_by_role("group", name="Picture"), "Shift+Tab")
    keys.press("1", "ArrowRight", "ArrowDown")
    expect(page.locator(".zoom-now")).to_have_text("100 %")
    keys.press(*9 * ["+"])

    def is_the_files():
        words = page.locator(".pixel").inner_text()
        place = re.search(r"x (\d+)\s+y (\d+)", words)
        values = page.locator(".pixel b").all_inner_texts()
        if not place or not values or not re.fullmatch(r"\d+ \d+ \d+", values[0]):
            return False
        x, y = int(place[1]), int(place[2])
        return [int(each) for each in values[0].split()] == tile[y % TILE, x % TILE].tolist()

    until(page, is_the_files, "the values of the file in the middle of the picture")
    keys.done()
