"""Recipes with several results through the whole app: REST, broker, worker, ranks and files."""

import csv
import io
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from skimage import data, filters, measure, util

from config.contract.settings import TOP
from tests.app import pictures
from tests.app.processes import named
from tests.client import Client

pytestmark = pytest.mark.slow

PROPERTIES = ["label", "area", "bbox", "centroid", "eccentricity", "intensity_mean"]
STEPS = [
    {"operation": "gaussian", "sigma": 2.0},
    {"operation": "threshold_otsu", "id": "mask", "keep": True},
    {"operation": "label"},
    {
        "operation": "regionprops_table",
        "properties": PROPERTIES,
        "intensity": "original",
        "id": "coins",
    },
]
COINS = data.coins().astype(np.uint16) * 200 + 7


@pytest.fixture
def client(app):
    with Client(app.url) as client:
        yield client


def measured(client, image):
    """Send an image through the recipe; return its batch and its finished job."""
    batch, _ = client.submit(STEPS, [("coins.tif", "image/tiff", pictures.tiff(image))])
    (job,) = client.wait(batch, 1).values()
    assert (job["state"], job["reason"]) == ("succeeded", "")
    return batch, job


def rows_of(content):
    """Read a table as arrays by the names of its columns."""
    names, *rows = csv.reader(io.StringIO(content.decode()))
    columns = zip(*rows, strict=True)
    return {name: np.array(each, float) for name, each in zip(names, columns, strict=True)}


def assert_as_scikit_image_measures(table, image):
    """Check whole numbers for equality, and floats to a billionth of their scale."""
    blurred = filters.gaussian(util.img_as_float32(image), 2.0)
    labels = measure.label(blurred > filters.threshold_otsu(blurred))
    wanted = measure.regionprops_table(labels, image.astype(np.float64), PROPERTIES)
    assert list(table) == list(wanted)
    for name, column in wanted.items():
        if np.issubdtype(column.dtype, np.integer) or name == "area":
            np.testing.assert_array_equal(table[name], column, name)
        else:
            scale = np.abs(column).max()
            np.testing.assert_allclose(table[name], column, rtol=0, atol=1e-9 * scale, err_msg=name)


def test_a_tiff_is_measured_as_scikit_image_does_and_deleted_with_its_table(client):
    batch, job = measured(client, COINS)
    mask, labels, table = job["results"]
    assert [each["id"] for each in job["results"]] == ["mask", "3", "coins"]
    assert [each["name"] for each in job["results"]] == [
        "coins_mask.tif",
        "coins.tif",
        "coins_coins.csv",
    ]
    assert labels["address"] == job["result"]["url"]
    found = rows_of(client.fetch(table))
    assert_as_scikit_image_measures(found, COINS)
    assert table["rows"] == len(found["label"])
    assert [each["name"] for each in table["columns"]] == list(found)
    assert {each["name"]: each["unit"] for each in table["columns"]}["area"] == "px²"
    levels = np.unique(pictures.tiff_pixels(client.fetch(mask)))
    assert levels.size == 2
    assert pictures.tiff_pixels(client.fetch(labels)).max() == found["label"].max()
    assert client.call("DELETE", f"/batches/{batch}")[0] == 202
    for each in job["results"]:
        assert client.request("GET", each["address"])[0] == 404


def test_a_flat_image_that_was_sent_before_corrects_others(client):
    even = np.full_like(COINS, 20_000)
    light = np.linspace(0.4, 1.0, COINS.shape[1])
    flat, scan = ((each * light).astype(np.uint16) for each in (even, COINS))
    # A batch needs a step; this one leaves the image as it is, and tells how even it is.
    statistics = [{"operation": "image_statistics"}]
    given, (job,) = client.submit(statistics, [("flat.tif", "image/tiff", pictures.tiff(flat))])
    batch, _ = client.submit(
        [{"operation": "flat_field", "flat": "input:empty"}],
        [("scan.tif", "image/tiff", pictures.tiff(scan))],
        inputs={"empty": {"batch": given, "job": job}},
    )
    (view,) = client.wait(batch, 1).values()
    assert (view["state"], view["reason"]) == ("succeeded", "")
    found = pictures.tiff_pixels(client.download(view))
    wanted = scan / flat * flat.mean()
    np.testing.assert_allclose(found, np.minimum(wanted, 65535), rtol=0, atol=1)


def test_the_script_of_the_page_about_tables_joins_those_of_a_batch(app, client):
    """One image has colours, so that it has other columns."""
    gray, colours = data.coins()[:120, :150], data.astronaut()[:90, :80]
    images = [
        ("plate 1/gray.png", "image/png", pictures.png(gray)),
        ("colours, bright.png", "image/png", pictures.png(colours)),
    ]
    batch, _ = client.submit([{"operation": "image_statistics", "id": "levels"}], images)
    jobs = client.wait(batch, 2).values()
    page = (TOP / "docs" / "tables.md").read_text()
    script = re.search("```python\n(# python batch_table.*?)```", page, re.DOTALL)[1]
    done = subprocess.run(
        [sys.executable, "-c", script, app.url, batch, "levels"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0])[:4] == ["image", "plane", "path", "channel"]
    assert [(row["image"], row["plane"], row["path"]) for row in rows] == [
        *[("colours, bright.png", "1", "colours, bright.png")] * 3,
        ("gray.png", "1", "plate 1/gray.png"),
    ]
    assert [float(row["mean"]) for row in rows] == [
        *colours.reshape(-1, 3).mean(axis=0),
        gray.mean(),
    ]
    assert {job["state"] for job in jobs} == {"succeeded"}


def test_what_cannot_be_a_recipe_is_refused_with_one_sentence(client):
    image = {"name": "a.png", "type": "image/png", "bytes": 10}
    steps = [*STEPS[:3], {**STEPS[3], "intensity": "orignal"}]
    status, problem = client.call("POST", "/batches", {"steps": steps, "images": [image]})
    assert status == 422
    assert problem["detail"].startswith('steps[3].intensity: no step has the id "orignal"; did you')


def test_a_job_whose_ranks_were_killed_has_one_table(app, client):
    image = np.tile(COINS, (4, 4))
    batch, (job,) = client.submit(
        [{"operation": "median", "footprint": "disk", "radius": 15}, *STEPS],
        [("coins.tif", "image/tiff", pictures.tiff(image))],
    )
    while not (view := client.call("GET", f"/batches/{batch}/jobs/{job}")[1])["tiles"]["done"]:
        time.sleep(0.01)
    assert view["state"] == "running"
    worker = app.pids()["worker"]
    for pid in named(worker, "dip rank") + named(worker, "dip seat"):
        os.kill(pid, signal.SIGKILL)
    view = client.wait(batch, 1)[job]
    assert (view["state"], view["reason"]) == ("succeeded", "")
    assert [each["kind"] for each in view["results"]] == ["image", "image", "table"]
    table = view["results"][-1]
    found = rows_of(client.fetch(table))
    assert len(found["label"]) == table["rows"] == found["label"].max()
