import gzip
import json
import logging
import subprocess
import sys
from dataclasses import replace

import pytest
from app import app, sweep
from chalicelib import log, lookup
from chalicelib import services as services_module

from config.contract import resources
from config.contract.settings import TOP
from config.contract.writing import OPTIONS

IMPORT = """
import os, sys
from collections import UserDict

class Watched(UserDict):
    def __getitem__(self, name):
        assert name not in settings, f"{name} is read at import"
        return super().__getitem__(name)

from config.contract.settings import ApiSettings
settings = {name.upper() for name in ApiSettings.__dataclass_fields__}
os.environ = Watched(os.environ)
import app, boto3
assert boto3.DEFAULT_SESSION is None
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"numpy", "skimage", "mpi4py", "cluster_worker", "moto"}))
"""


def test_importing_the_app_reads_no_environment_and_loads_no_numpy():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        cwd=TOP / "api",
        env={"PYTHONPATH": str(TOP), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_catalogue_is_sent_once(api):
    answer = api.http.get("/operations")
    found = answer.json_body
    limits = found.pop("limits")
    assert found.pop("writing").keys() == OPTIONS.keys()
    exported = json.loads((TOP / "config" / "contract" / "catalogue.json").read_text())
    assert found == exported
    assert limits["upload_bytes_max"] == api.services.settings.upload_bytes_max
    tag = answer.headers["ETag"]
    again = api.http.get("/operations", headers={"If-None-Match": f"W/{tag}"})
    assert (again.status_code, again.body) == (304, b"")


def test_the_forms_of_the_catalogue_and_its_texts_laid_on_each_other_are_the_whole(api):
    whole, forms, texts = (
        api.http.get(f"/operations?part={part}").json_body for part in ("whole", "forms", "texts")
    )
    assert "help" not in forms["operations"][0]
    small, large = (len(gzip.compress(json.dumps(each).encode())) for each in (forms, whole))
    assert small < large / 2
    for each, words in zip(forms["operations"], texts["operations"], strict=True):
        lay_on(each, words)
    assert forms == whole


def lay_on(below, above):
    """Put the members of an object into another one, at every depth."""
    for name, value in above.items():
        if isinstance(value, dict):
            lay_on(below[name], value)
        else:
            below[name] = value


def test_a_part_that_the_catalogue_does_not_have_is_refused_in_a_sentence(api):
    answer = api.http.get("/operations?part=pictures")
    assert answer.status_code == 400
    assert answer.json_body["detail"] == "part: must be one of whole, forms, texts, got pictures"


def test_all_else_is_kept_by_nobody(api):
    batch, _ = api.batch()
    assert api.http.get(f"/batches/{batch}").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("PUT", "/batches", {}, b"", 405),
        ("POST", "/batches", {"Content-Type": "text/plain"}, b"{}", 415),
        ("POST", "/batches", {"Content-Type": "application/json"}, b"{", 400),
        ("POST", "/batches", {"Content-Type": "application/json"}, b"[]", 422),
        ("POST", "/batches", {}, b"", 400),
        ("GET", "/batches/" + "f" * 32, {}, b"", 404),
    ],
)
def test_every_error_is_a_problem(api, method, path, headers, body, status):
    answer = api.http.request(method, path, headers, body)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json_body
    assert problem["status"] == status
    assert {"type", "title", "detail"} <= problem.keys()


def test_a_failure_of_ours_is_a_problem_without_a_traceback(api, monkeypatch):
    def fail(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(lookup, "fetch", fail)
    status, problem = api.get(f"/batches/{'0' * 32}/jobs/{'0' * 16}")
    assert status == 500
    assert "secret" not in json.dumps(problem)
    assert problem["detail"] == "the app failed here; what happened is in its log. Try again"


def test_no_line_of_the_log_holds_a_batch_id(api, monkeypatch, capfd):
    lines = []

    class Keep(logging.Handler):
        def emit(self, record):
            lines.append(log.JsonLines().format(record))

    keep = Keep()
    log.logger.addHandler(keep)
    batch, (job,) = api.queued()
    api.sweep()
    monkeypatch.setattr(lookup, "fetch", lambda *_: open(f"/nowhere/{batch}"))  # noqa: PTH123, SIM115
    assert api.get(f"/batches/{batch}/jobs/{job}")[0] == 500
    api.call("DELETE", f"/batches/{batch}")
    log.logger.removeHandler(keep)
    assert len(lines) > 5
    assert any("traceback" in json.loads(line) for line in lines)
    assert not any(batch in line for line in lines)
    assert batch not in "".join(capfd.readouterr())
    assert any(json.loads(line).get("batch") == resources.public_name(batch) for line in lines)


def test_health_says_that_all_parts_answer(api):
    assert api.get("/health") == (
        200,
        {"status": "ok", "broker": "ok", "table": "ok", "bucket": "ok"},
    )


def test_health_says_which_part_does_not_answer(api, dead_broker, monkeypatch):
    settings = replace(api.services.settings, results_bucket="not-there")
    broken = replace(api.services, settings=settings)
    monkeypatch.setattr(services_module, "_made_once", lambda: broken)
    status, problem = api.get("/health")
    assert status == 503
    assert problem["broker"].startswith("the broker at 127.0.0.1:1 refused")
    assert problem["table"] == "ok"
    assert "HeadBucket" in problem["bucket"]
    assert "broker: " in problem["detail"]
    assert "bucket: " in problem["detail"]


def test_the_schedule_sweeps(api):
    api.batch()
    api.clock.pass_seconds(24 * 3600)
    event = dict.fromkeys(("version", "account", "region", "source", "time", "id"), "")
    assert sweep({**event, "detail": {}, "detail-type": "", "resources": []}, None) == {
        "expired": 1
    }


def test_routes_carry_no_prefix_and_are_those_of_the_contract(api):
    _, document = api.get("/openapi.json")
    made = {(path, method.lower()) for path, each in app.routes.items() for method in each}
    written = {(path, method) for path, each in document["paths"].items() for method in each}
    assert made == written
