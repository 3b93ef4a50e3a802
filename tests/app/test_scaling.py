"""The figure that scales the nodes, from a real run, under the template's scaling policy."""

import json
import os
import signal
import sys
import time

import boto3
import pytest
from moto.server import ThreadedMotoServer

from infra import settings as room
from infra.local.app import LocalApp
from tests.app import pictures
from tests.client import Client
from tests.infra.scaling import Scaling

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

COUNT = 200
GROUP, NAMESPACE = "dip-workers", "dip"
SETTINGS = {
    "WORKER_GROUP": GROUP,
    "METRICS_NAMESPACE": NAMESPACE,
    "WORKERS_MAX": "5",
    "WORKER_IMAGES": "50",
}


@pytest.fixture(scope="module")
def scaling():
    """Return the scaling rules of a stack with the same numbers of nodes and images."""
    from aws_cdk import App

    from infra.stack import add_stack

    app = App()
    given = {"workers_max": "5", "worker_images": "50"}
    stack = add_stack(app, room.load(given.get, {}))
    assembly = app.synth()
    return Scaling.of(assembly.get_stack_by_name(stack.stack_name).template["Resources"])


@pytest.fixture
def scaling_url():
    """Run a moto that has the group; return its address."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def app(tmp_path, scaling_url):
    # S3 and DynamoDB have addresses of their own; all other services are moto's.
    others = {"AWS_ENDPOINT_URL": scaling_url, "AUTOSCALING_ENDPOINT": scaling_url}
    with LocalApp(tmp_path, ranks=1, sweep_seconds=1.0, say=print, **SETTINGS, **others) as app:
        yield app


@pytest.fixture
def aws(scaling_url):
    def client(service):
        return boto3.client(
            service,
            endpoint_url=scaling_url,
            region_name="eu-central-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    return client


class Group:
    """The Auto Scaling group in moto, of zero to five nodes."""

    def __init__(self, client):
        self.client = client
        client.create_launch_configuration(
            LaunchConfigurationName=GROUP, ImageId="ami-12345678", InstanceType="c6i.xlarge"
        )
        client.create_auto_scaling_group(
            AutoScalingGroupName=GROUP,
            LaunchConfigurationName=GROUP,
            MinSize=0,
            MaxSize=5,
            DesiredCapacity=0,
            AvailabilityZones=["eu-central-1a"],
        )

    @property
    def desired(self):
        found = self.client.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])
        return found["AutoScalingGroups"][0]["DesiredCapacity"]

    @desired.setter
    def desired(self, number):
        self.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=number)


def test_the_desired_count_rises_with_the_backlog_and_falls_to_zero_after_it(app, aws, scaling):
    group, figures = Group(aws("autoscaling")), Figures(app.folder / "api.log")
    with Client(app.url) as client:
        images = [
            (f"{i}.png", "image/png", pictures.png(pictures.small(i % 20))) for i in range(COUNT)
        ]
        # Images wait for the worker, however fast this machine computes them.
        worker = app.pids()["worker"]
        os.kill(worker, signal.SIGSTOP)
        batch, _ = client.submit(
            [{"operation": "median", "footprint": "disk", "radius": 5}], images
        )
        os.kill(worker, signal.SIGCONT)
        assert group.desired == 1
        series = []
        until = time.monotonic() + 600
        # A second of this test stands for a minute of CloudWatch.
        while not series or group.desired or series[-1]["Wanted"]:
            assert time.monotonic() < until, series[-5:]
            now = figures.next()
            before = group.desired
            group.desired = scaling.after(before, now["Wanted"])
            series.append(now | {"before": before, "desired": group.desired})
        counts = client.call("GET", f"/batches/{batch}?limit=1")[1]["counts"]
    sys.stdout.write("waiting, in hand, wanted, desired:\n")
    for each in series:
        sys.stdout.write(f"{each['Waiting']} {each['InHand']} {each['Wanted']} {each['desired']}\n")
    assert counts["succeeded"] == COUNT
    assert max(each["desired"] for each in series) > 1
    assert series[-1]["desired"] == 0
    for each in series:
        if each["desired"] < each["before"]:
            assert each["Waiting"] + each["InHand"] == 0


class Figures:
    """The figures that the API's log has for CloudWatch, one after the other."""

    NAMES = ("Waiting", "InHand", "Wanted")

    def __init__(self, log):
        self.log = log
        self.seen = 0

    def next(self):
        """Wait for figures that were not read yet; return the last of them by name."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            found = list(filter(None, map(figures_of, self.log.read_text().splitlines())))
            if len(found) > self.seen:
                self.seen = len(found)
                return {name: found[-1][name] for name in self.NAMES}
            time.sleep(0.1)
        raise AssertionError("no figures were published for a minute")


def figures_of(line):
    """Return the figures of a line of the log, if they are those that scale the nodes."""
    if '"_aws"' not in line or '"Wanted"' not in line:
        return None
    found = json.loads(line[line.index("{") :])
    (described,) = found["_aws"]["CloudWatchMetrics"]
    assert described["Namespace"] == NAMESPACE
    assert {"Name": "Wanted"} in described["Metrics"]
    return found
