"""The page explains each of its states and what to do next, and axe finds nothing in any."""

import re

import boto3
import pytest
from moto.server import ThreadedMotoServer
from playwright.sync_api import expect
from skimage import data

from infra.local.app import LocalApp
from tests.app import pictures
from tests.site.pages import (
    COLOURS,
    EVERYTHING,
    LAYOUT,
    add_filter,
    choose,
    close,
    complaints_of,
    findings,
    process,
    row,
    succeeds,
)

pytestmark = pytest.mark.slow

GROUP = "dip-workers"
UPLOADS, API = re.compile("dip-uploads"), re.compile("/api/")
COFFEE = ("coffee.png", "image/png", pictures.png(data.coffee()))
MOST = 4


@pytest.fixture(scope="module")
def group_url():
    """Run a moto that has the Auto Scaling group of worker nodes; return its address."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    make_group(url)
    yield url
    server.stop()


@pytest.fixture(scope="module")
def asleep(tmp_path_factory, group_url):
    """Run the app with no worker yet, a group that may have one, and small limits."""
    with LocalApp(
        tmp_path_factory.mktemp("asleep"),
        ranks=2,
        sweep_seconds=1.0,
        say=print,
        worker=False,
        WORKER_GROUP=GROUP,
        AUTOSCALING_ENDPOINT=group_url,
        BATCH_JOBS_MAX=str(MOST),
        UPLOAD_BYTES_MAX=str(4 << 20),
        THOUSAND_IMAGES_USD="20",
        WARM_OPERATIONS="gaussian",
    ) as app:
        yield app


def make_group(url):
    """Create the Auto Scaling group of worker nodes, with none in it."""
    client = boto3.client(
        "autoscaling",
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    client.create_launch_configuration(
        LaunchConfigurationName=GROUP, ImageId="ami-12345678", InstanceType="c6i.xlarge"
    )
    client.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        LaunchConfigurationName=GROUP,
        MinSize=0,
        MaxSize=1,
        DesiredCapacity=0,
        AvailabilityZones=["eu-central-1a"],
    )
    client.close()


@pytest.fixture
def quiet(asleep, browser):
    """Open the site of that app; console messages on failed calls are expected here."""
    context = browser.new_context(viewport={"width": 1360, "height": 820}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(30_000)
    complaints = complaints_of(page)
    page.goto(asleep.url)
    yield page
    close(page)
    assert [each for each in complaints if not each.startswith("Failed to load resource")] == []


def both(page, state):
    """Return what axe finds in light and dark, and on a phone."""
    found = []
    for scheme, rules in (("light", EVERYTHING), ("dark", COLOURS)):
        page.emulate_media(color_scheme=scheme)
        found += [(state, scheme, each) for each in findings(page, rules)]
    size = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 844})
    found += [(state, "phone", each) for each in findings(page, LAYOUT)]
    page.set_viewport_size(size)
    page.emulate_media(color_scheme="light")
    return found


def stop(page, requests):
    """Stop requests before they are sent; return the list of them, for the test to end them."""
    stopped = []
    page.route(requests, lambda route: stopped.append(route))
    return stopped


def test_from_upload_through_a_cut_connection_and_a_sleeping_worker_to_the_result(quiet, asleep):
    page = quiet
    choose(page, COFFEE, ("notes.png", "image/png", b"This is no picture."))
    add_filter(page, "Inversion")
    stopped = stop(page, UPLOADS)
    process(page)
    expect(row(page, "coffee.png")).to_contain_text("Uploading")
    found = both(page, "uploading")
    page.context.set_offline(True)
    expect(page.get_by_role("alert")).to_contain_text("You are offline.")
    found += both(page, "offline")
    for each in stopped:
        each.abort("internetdisconnected")
    page.unroute(UPLOADS)
    page.context.set_offline(False)
    # No button is pressed: the upload goes on when the connection is back.
    waking = page.get_by_text("A worker is being started for your images.")
    expect(waking).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(row(page, "coffee.png")).to_contain_text("Waits for a worker to start")
    expect(page.get_by_text("about US$ 0.02")).to_be_visible()
    found += both(page, "waking")
    page.route(API, lambda route: route.abort())
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer.")
    expect(page.get_by_text(re.compile(r"Next try in \d+ s|Trying now"))).to_be_visible()
    found += both(page, "service down")
    # Pressed while the service is down, since the page may else have tried by itself before.
    with page.expect_request(API):
        page.get_by_role("button", name="Try now").click()
    page.unroute(API)
    expect(page.get_by_role("alert")).to_have_count(0)
    asleep.supervisor.start(*asleep._workers())
    # Its world needs time to warm up.
    succeeds(page, "coffee.png", 200)
    expect(waking).to_have_count(0)
    milestone = page.locator("[aria-live=polite]")
    expect(milestone).to_have_text("Finished: 1 image done.")
    # The batch is deleted elsewhere, or has expired.
    batch = page.url.partition("#batch=")[2]
    assert page.request.delete(f"{asleep.url}/api/batches/{batch}").ok
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("no longer kept. Add the images again")
    found += both(page, "expired")
    assert found == []


def test_limits_are_explained_before_anything_is_sent(quiet):
    page = quiet
    large = ("large.png", "image/png", pictures.png(data.coffee()) + bytes(4 << 20))
    small = pictures.png(pictures.small(0))
    names = [f"{number}.png" for number in range(MOST)]
    choose(page, large, *((name, "image/png", small + name.encode()) for name in names))
    expect(row(page, "large.png")).to_contain_text("Too large")
    words = f"The list holds at most {MOST} images. Process these, clear the list, then add"
    expect(page.get_by_role("alert")).to_contain_text(words)
    assert page.locator(".row").count() == MOST
    assert both(page, "limits reached") == []


def test_the_position_in_the_queue_is_shown(quiet):
    page = quiet
    choose(page, COFFEE)
    add_filter(page, "Inversion")

    # As if a hundred images of other visitors were done, and a dozen still waited.
    def wait_in_line(route):
        answer = route.fetch()
        body = answer.json()
        for job in body["jobs"]:
            job.update(state="queued", lane="interactive", ticket=112, started=0, result=None)
            job["changed"] += 1
        body["counts"]["queued"] = 1
        body["line"] = {"workers": 1, "start_seconds": 0, "served": {"interactive": 100, "bulk": 0}}
        route.fulfill(response=answer, json=body)

    page.route(re.compile(r"/api/batches/[0-9a-f]{32}\?"), wait_in_line)
    process(page)
    expect(row(page, "coffee.png")).to_contain_text("In the queue, about 11 ahead")
    expect(page.get_by_text("about 11 ahead in the queue", exact=True)).to_be_visible()
    assert both(page, "queued") == []
