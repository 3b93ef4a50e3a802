"""The whole app, through its REST interface, with all its processes."""

import html
import json
import os
import re
import subprocess
import time
from urllib.request import urlopen

import numpy as np
import pytest
from skimage import data

from config.contract import resources
from tests.app import pictures
from tests.client import Client

pytestmark = pytest.mark.slow

OPERATIONS_OF_A_RECIPE = 17
SMALL = pictures.png(pictures.small(0))


@pytest.fixture
def client(app):
    with Client(app.url) as client:
        yield client


def test_a_photograph_comes_back_as_scikit_image_blurs_it(client):
    image = data.astronaut()
    batch, _ = client.submit(pictures.BLUR, [("cat.png", "image/png", pictures.png(image))])
    (job,) = client.wait(batch, 1).values()
    assert job["state"] == "succeeded"
    assert job["result"]["name"] == "cat.png"
    found = pictures.pixels(client.download(job))
    pictures.assert_blurred(found, image)


def test_results_have_the_quality_that_was_chosen(client):
    image = data.astronaut()
    sizes = []
    for quality in (90, 30):
        files = [("cat.jpg", "image/jpeg", pictures.jpeg(image))]
        batch, _ = client.submit([{"operation": "invert"}], files, quality=quality)
        (job,) = client.wait(batch, 1).values()
        assert job["state"] == "succeeded"
        content = client.download(job)
        sizes.append(len(content))
        assert np.abs(pictures.pixels(content) - (255.0 - image)).mean() < 8
    assert sizes[1] < sizes[0] / 2


def test_a_large_image_is_cut_over_all_ranks_and_comes_back_the_same(client):
    image = np.tile(data.astronaut(), (4, 4, 1))
    batch, _ = client.submit(pictures.BLUR, [("big.png", "image/png", pictures.png(image))])
    (job,) = client.wait(batch, 1).values()
    assert job["tiles"]["total"] > 1
    found = pictures.pixels(client.download(job))
    pictures.assert_blurred(found, image)


def test_a_node_tells_prometheus_of_its_jobs_and_of_the_broker_s_queues(app, client):
    batch, _ = client.submit([{"operation": "invert"}], [("a.png", "image/png", SMALL)])
    client.wait(batch, 1)
    wanted = [f'dip_queue_messages{{queue="{each.name}"}}' for each in resources.QUEUES]
    wanted += ['dip_attempts_total{outcome="succeeded"}', 'dip_memory_bytes{process="rank 1"}']
    until = time.monotonic() + 60
    while missing := [each for each in wanted if each not in metrics(app)]:
        assert time.monotonic() < until, missing
        time.sleep(0.2)


def metrics(app):
    with urlopen(f"http://{app.environment['METRICS_ADDRESS']}/metrics", timeout=10) as answer:
        return answer.read().decode()


def test_every_operation_runs_through_the_app(client):
    """Submit recipes of seventeen operations, each on the image that it takes, all at once."""
    operations = client.call("GET", "/operations")[1]["operations"]
    picture = ("a.jpg", "image/jpeg", pictures.jpeg(data.astronaut()[:99, :131]))
    batches = []
    for first in range(0, len(operations), OPERATIONS_OF_A_RECIPE):
        chosen = operations[first : first + OPERATIONS_OF_A_RECIPE]
        batches.append((client.submit(recipe_for(chosen), [picture], "tiff")[0], chosen))
    for batch, chosen in batches:
        (job,) = client.wait(batch, 1).values()
        assert (job["state"], job["reason"]) == ("succeeded", "")
        assert {each["name"] for each in chosen} <= {each["id"] for each in job["results"]}


def recipe_for(entries):
    """Make a recipe of operations, before which come the mask and the labels that they take."""
    steps = [
        {"operation": "threshold_otsu", "id": "mask", "keep": True},
        {"operation": "label", "id": "labels", "image": "mask", "keep": True},
        {"operation": "rgb2gray", "id": "gray", "image": "original", "keep": True},
    ]
    names = {"picture": "original", "values": "original", "mask": "mask", "classes": "mask"}
    names["labels"] = "labels"
    for entry in entries:
        # A second image has as many channels as the first one is computed in.
        gray = {"picture": "gray"} if entry["channels"] == "gray" else {}
        inputs = {
            name: (names | gray)[given["takes"]]
            for name, given in entry.get("inputs", {}).items()
            if given["required"]
        }
        step = {"operation": entry["name"], "id": entry["name"], "image": names[entry["takes"]]}
        keep = {} if entry.get("gives") == "table" else {"keep": True}
        steps.append({**step, **inputs, **keep})
    return steps


def test_the_documents_answer(client):
    for path in ("/operations", "/health", "/openapi.json"):
        status, answer = client.call("GET", path)
        assert status == 200
        assert answer


BAD = {
    "a truncated JPEG": (
        ("cat.jpg", "image/jpeg", pictures.jpeg(data.astronaut())[:20_000]),
        "cat.jpg: the file ends too early; save or upload it again, "
        "or read what is there with the option incomplete",
    ),
    "a text file": (
        ("notes.png", "image/png", b"This is no picture at all."),
        "notes.png: not an image this app reads (starts with 54 68 69 73); "
        "use JPEG, PNG, WebP, TIFF or another format of docs/formats.md",
    ),
    "an image of zeros": (
        ("huge.png", "image/png", pictures.zeros_of(60_000, 60_000)),
        "huge.png: 60000 × 60000 = 3600 megapixels; at most 400 megapixels are accepted, "
        "so send a part of it or a smaller copy",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_fails_with_one_sentence_and_delays_nobody(client, case):
    image, sentence = BAD[case]
    good = [("good.png", "image/png", pictures.png(pictures.small(1)))]
    bad_batch, _ = client.submit(pictures.BLUR, [image])
    batch, _ = client.submit(pictures.BLUR, good)
    (job,) = client.wait(batch, 1).values()
    assert job["state"] == "succeeded"
    (job,) = client.wait(bad_batch, 1).values()
    assert (job["state"], job["cause"], job["reason"]) == ("failed", "rejected", sentence)


def test_a_file_of_another_size_is_refused_by_its_form(client):
    _, (job,) = client.create(pictures.BLUR, [("a.png", "image/png", b"1234")])
    for content, code in ((b"", "EntityTooSmall"), (b"12345", "EntityTooLarge")):
        with pytest.raises(AssertionError, match=code):
            client.upload(job["upload"], content)


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        (
            [{"operation": "gausian"}],
            'steps[0].operation: no operation is called "gausian"; did you mean gaussian?',
        ),
        (
            [{"operation": "gaussian", "sigma": 1e9}],
            "steps[0].sigma: must lie between 0.1 and 100 px, got 1000000000.0",
        ),
    ],
)
def test_a_bad_chain_is_refused_with_one_sentence(client, steps, sentence):
    image = {"name": "a.png", "type": "image/png", "bytes": 10}
    status, problem = client.call("POST", "/batches", {"steps": steps, "images": [image]})
    assert status in (400, 422)
    assert problem["detail"] == sentence


def test_a_running_job_can_be_cancelled_and_tried_again(client):
    image = np.tile(data.astronaut(), (3, 3, 1))
    steps = [{"operation": "median", "footprint": "disk", "radius": 8}]
    batch, (job,) = client.submit(steps, [("slow.png", "image/png", pictures.png(image))])
    while client.call("GET", f"/batches/{batch}/jobs/{job}")[1]["state"] == "queued":
        pass
    assert client.call("POST", f"/batches/{batch}/jobs/{job}/cancel")[0] == 202
    assert client.wait(batch, 1)[job]["state"] == "cancelled"
    status, again = client.call("POST", f"/batches/{batch}/jobs/{job}/retry")
    assert (status, again["state"]) == (202, "queued")
    client.call("POST", f"/batches/{batch}/cancel")
    assert client.wait(batch, 1)[job]["state"] == "cancelled"


def test_a_call_without_body_needs_no_content_type(client):
    status, _ = client.request("POST", f"/api/batches/{'0' * 32}/cancel")
    assert status == 404  # there is no such batch


def test_a_deleted_batch_is_gone_with_its_files(client):
    batch, _ = client.submit(
        pictures.BLUR, [("a.png", "image/png", pictures.png(pictures.small(2)))]
    )
    (job,) = client.wait(batch, 1).values()
    assert client.call("DELETE", f"/batches/{batch}")[0] == 202
    assert client.call("GET", f"/batches/{batch}")[0] == 410
    status, _ = client.request("GET", job["result"]["url"])
    assert status == 404


def test_no_log_names_a_batch(app, client):
    batch, _ = client.submit(
        pictures.BLUR, [("a.png", "image/png", pictures.png(pictures.small(3)))]
    )
    client.wait(batch, 1)
    for log in app.folder.glob("*.log"):
        assert batch not in log.read_text(errors="replace"), log.name


def test_the_worker_logs_one_json_line_per_event(app):
    for line in (app.folder / "worker.log").read_text().splitlines():
        assert json.loads(line)["event"]


def test_the_example_of_the_page_about_the_api_runs(client, app, tmp_path):
    _, page = client.request("GET", "/api/")
    example = re.search("<pre><code>(.*?)</code></pre>", page.decode(), re.DOTALL)[1]
    (tmp_path / "in.png").write_bytes(pictures.png(data.astronaut()))
    files = {"IMAGE": str(tmp_path / "in.png"), "OUT": str(tmp_path / "out.png")}
    done = subprocess.run(
        ["/bin/bash", "-eu", "-c", html.unescape(example)],
        env={"PATH": os.environ["PATH"], "API": f"{app.url}/api", **files},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = pictures.pixels((tmp_path / "out.png").read_bytes())
    pictures.assert_blurred(found, data.astronaut())
