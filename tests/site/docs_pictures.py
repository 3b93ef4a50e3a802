"""`make pictures`: take the pictures in docs anew, from the app itself; some by their names."""

import io
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from skimage import data

from config.contract.settings import TOP
from infra.local.app import LocalApp
from tests.app import pictures
from tests.site import preset_pictures
from tests.site.conftest import ARGUMENTS
from tests.site.pages import add_filter, choose, move_up, process, row, succeeds, until
from tests.site.test_tables import nuclei, tiff

WINDOW = {"width": 1440, "height": 900}
COLOURS = 128
PLATES = ("plate A1.tif", "plate A2.tif", "plate B1.tif", "plate B2.tif")


def save(page, path):
    """Save what is seen as a small file: a PNG in a palette, or WebP."""
    # What moves has come to rest then.
    page.wait_for_timeout(1500)
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    if path.suffix == ".png":
        shot.quantize(COLOURS, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    else:
        shot.save(path, quality=85, method=6)


def counted(page, docs):
    """Four plates are counted, and a fifth is damaged: the picture of the README."""
    images = {name: tiff(nuclei(seed, 60, 420)) for seed, name in enumerate(PLATES)}
    images["plate B3.tif"] = tiff(nuclei(9, 60, 420))[:90_000]
    choose(page, *((name, "image/tiff", content) for name, content in images.items()))
    page.get_by_role("button", name="Count objects").click()
    process(page)
    for name in PLATES:
        succeeds(page, name, 120)
    expect(row(page, "plate B3.tif")).to_have_attribute("data-job-state", "failed")
    row(page, "plate A2.tif").get_by_role("button", name="Show plate A2.tif").click()
    grid = page.get_by_role("grid", name="Table: Measure objects")
    expect(page.get_by_role("img", name="plate A2.tif, after")).to_be_visible()
    grid.get_by_role("button", name="Area").click()
    grid.locator("[aria-rowindex='3']").click()
    until(page, lambda: page.locator(".region").count() == 1, "an object is marked")
    expect(page.locator(".toast")).to_have_count(0)
    save(page, docs / "app.png")


def measured(page, docs):
    """A line is measured before and after a filter: the picture of docs/tables.md."""
    choose(page, ("coffee.png", "image/png", pictures.png(data.coffee()[:, 100:500])))
    add_filter(page, "Blurring")
    add_filter(page, "Grayscale")
    move_up(page, "Grayscale")
    page.locator(".step").last.get_by_role("spinbutton", name="Sigma", exact=True).fill("4")
    expect(page.get_by_role("img", name="coffee.png, preview")).to_be_visible()
    page.get_by_role("button", name="Measure on the picture").click()
    page.get_by_text("Line", exact=True).click()
    expect(page.get_by_role("slider", name="Start of the line")).to_be_visible()
    expect(page.locator(".toast")).to_have_count(0)
    save(page, docs / "measured.webp")


def traced(page, docs, traces):
    """A photograph is blurred, and its trace is shown: the picture of docs/operators.md."""
    sent = []
    page.on(
        "request",
        lambda request: sent.append(request.headers) if "/uploaded" in request.url else None,
    )
    # The first image may meet ranks that still start.
    for name in ("first.png", "astronaut.png"):
        image = np.tile(data.astronaut(), (2, 2, 1))
        choose(page, (name, "image/png", pictures.png(image)))
        if name == "first.png":
            add_filter(page, "Blurring")
        process(page)
        succeeds(page, name, 120)
    page.set_viewport_size({"width": 1100, "height": 200})
    address = f"{traces}/{sent[-1]['traceparent'].split('-')[1]}"
    page.goto(address)
    until(page, lambda: "rank 1" in page.reload().text(), "the spans arrived")
    page.screenshot(path=docs / "trace.png", full_page=True)
    shot = Image.open(docs / "trace.png").convert("RGB")
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(docs / "trace.png", optimize=True)


def take(app, docs, wanted):
    """Take the pictures of these names from the app."""
    takers = {"app": counted, "measured": measured, "trace": partial(traced, traces=app.traces_url)}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell"), args=ARGUMENTS
        )
        for name in wanted or takers:
            page = browser.new_page(viewport=WINDOW, reduced_motion="reduce")
            page.on("dialog", lambda dialog: dialog.accept())
            page.goto(app.url)
            takers[name](page, docs)
            page.close()
        browser.close()


def main():
    """Write the library's pictures; start the app, take its pictures, and end it."""
    wanted = sys.argv[1:]
    if not wanted:
        preset_pictures.write()
    with tempfile.TemporaryDirectory() as folder, LocalApp(Path(folder), 0, 2, trace=True) as app:
        take(app, TOP / "docs", wanted)


if __name__ == "__main__":
    main()
