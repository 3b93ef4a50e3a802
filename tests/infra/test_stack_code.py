"""The code that Lambda gets."""

import json
import subprocess
import sys
import zipfile

import pytest

from config.contract.settings import TOP
from infra.api import MEGABYTES

pytestmark = pytest.mark.slow


def test_the_functions_code_is_the_app_its_configuration_and_two_libraries(small):
    with zipfile.ZipFile(small.code()) as package:
        names = package.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"app.py", "chalice", "chalicelib", "config", "fastjsonschema", "pika"}
    assert "config/contract/catalogue.json" in names
    assert "config/contract/formats.json" in names
    ours = {name for name in names if name.startswith(("chalicelib/", "config/"))}
    assert all(name.endswith((".py", "catalogue.json", "formats.json")) for name in ours), ours
    assert small.code().stat().st_size <= 2 * 1024 * 1024


def test_the_functions_code_starts_cold_in_two_seconds_without_numpy(small, tmp_path):
    """Run it with what Lambda itself has: the standard library and boto3.

    Lambda gives a whole core while the code is imported, and then 1/7 of one to 256 MB: so the
    clients are made while it is imported.
    """
    with zipfile.ZipFile(small.code()) as package:
        package.extractall(tmp_path / "task")
    site = next(path for path in map(str, sys.path) if path.endswith("site-packages"))
    lambdas = tmp_path / "runtime"
    lambdas.mkdir()
    for name in ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3"):
        (lambdas / name).symlink_to(f"{site}/{name}")
    (lambdas / "six.py").symlink_to(f"{site}/six.py")
    event = {
        "requestContext": {
            "httpMethod": "GET",
            "resourcePath": "/operations",
            "path": "/api/operations",
            "stage": "api",
            "identity": {"sourceIp": "192.0.2.1"},
        },
        "path": "/operations",
        "headers": {},
        "multiValueHeaders": {},
        "pathParameters": None,
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "stageVariables": None,
        "body": None,
        "isBase64Encoded": False,
    }
    code = f"""
import importlib.util, json, pathlib, re, sys, time
sys.path[:0] = [{str(tmp_path / "task")!r}, {str(lambdas)!r}]
import app
imported = time.process_time()
assert importlib.util.find_spec("numpy") is None
answer = app.app({event!r}, None)
answered = time.process_time()
status = pathlib.Path("/proc/self/status").read_text()
memory = int(re.search(r"VmHWM:[ \t]*([0-9]+)", status)[1]) / 1024
body = json.loads(answer["body"])
print(json.dumps([answer["statusCode"], len(body["operations"]), imported, answered, memory]))
"""
    environment = {
        "AWS_LAMBDA_FUNCTION_NAME": "dip-APIHandler",
        "UPLOADS_BUCKET": "u",
        "RESULTS_BUCKET": "r",
        "BROKER_URL": "amqp://b/",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    base = sys.base_prefix + "/bin/python3"
    found = subprocess.run(
        [base, "-S", "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode == 0, found.stderr
    status, operations, imported, answered, memory = json.loads(found.stdout)
    sys.stdout.write(
        f"the functions' code takes {imported:.2f} s of processor time to import and "
        f"{answered - imported:.2f} s for a first answer, and {memory:.0f} MB\n"
    )
    catalogue = json.loads((TOP / "config" / "contract" / "catalogue.json").read_text())
    assert (status, operations) == (200, len(catalogue["operations"]))
    assert answered <= 2
    assert answered - imported <= 0.2
    assert memory <= MEGABYTES / 2
