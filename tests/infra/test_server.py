"""API and site on one's own machine: `python -m infra.server` beside the local app."""

import http.client
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from config.contract.settings import TOP
from infra.local import selfcheck
from infra.local.front import API_BODY_BYTES_MAX
from infra.local.ports import HOST, answers, free_ports
from tests.infra.processes import eventually
from tests.infra.web import request

pytestmark = pytest.mark.slow


@contextmanager
def running(environment):
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.server"],
        cwd=TOP,
        env=os.environ | environment | {"LISTEN_PORT": str(port), "SCHEDULE_SECONDS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, f"http://{HOST}:{port}", port
    finally:
        process.kill()
        process.stderr.close()
        process.wait(10)


@pytest.fixture(scope="module")
def server(app):
    with running(app.environment) as (process, url, port):
        eventually(lambda: answers(port))
        yield url
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_photograph_goes_the_whole_way(server):
    selfcheck.check(server)


def test_the_page_the_contract_and_its_health_are_served(server):
    for path in ("/", "/api/operations", "/api/openapi.json", "/api/health"):
        assert request("GET", server + path).status == 200


def test_an_unknown_address_is_a_problem(server):
    answer = request("GET", f"{server}/api/nothing")
    assert answer.status == 404
    assert json.loads(answer.body)["detail"] == "no such address or method"


def test_an_unknown_method_is_a_problem(server):
    answer = request("PATCH", f"{server}/api/operations")
    assert (answer.status, json.loads(answer.body)["status"]) == (405, 405)


def test_a_body_beyond_the_limit_is_refused(server):
    place = server.removeprefix("http://")
    connection = http.client.HTTPConnection(place, timeout=30)
    connection.request("POST", "/api/batches", b"x" * (API_BODY_BYTES_MAX + 1))
    assert connection.getresponse().status == 413
    connection.close()


def test_a_setting_that_is_missing_is_one_sentence():
    with running({"UPLOADS_BUCKET": ""}) as (process, _, _):
        assert process.wait(60) == 2
        assert process.stderr.read().startswith("UPLOADS_BUCKET is not set")
