"""The front: headers, forwarding to the API, and results from the bucket."""

import gzip
import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from config.contract.visitor import ADDRESS_HEADER, KEY_HEADER
from infra.local.front import API_BODY_BYTES_MAX, address_of
from infra.local.ports import HOST, answers, free_ports
from infra.local.process import Process
from infra.local.supervisor import Supervisor
from tests.infra.web import request

pytestmark = pytest.mark.slow

REGION = "eu-central-1"
KEY = "k" * 32
RESULT = "files/b/j/1/result.png"
PIXELS = bytes(range(256)) * 40


class Echo(BaseHTTPRequestHandler):
    """A stand-in for Chalice that answers with the request that it received."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        asked = {"method": self.command, "path": self.path, "body": body, **self.headers}
        said = json.dumps(asked).encode()
        self.send_response(304 if "If-None-Match" in self.headers else 202)
        self.send_header("Content-Type", "application/json")
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0" if "If-None-Match" in self.headers else len(said))
        self.end_headers()
        if "If-None-Match" not in self.headers:
            self.wfile.write(said)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815 - names that the base class calls

    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="module")
def api():
    with ThreadingHTTPServer((HOST, 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text("<h1>page</h1>")
    (folder / "assets" / "index-1a2b.js").write_text("1")
    (folder / "sample.txt").write_text("sample")
    (folder.parent / "secret.txt").write_text("secret")
    return folder


@pytest.fixture(scope="module")
def fronts(tmp_path_factory, api, site):
    """Yield the origins of two fronts, one whose API is up and one whose API is down."""
    folder = tmp_path_factory.mktemp("front")
    aws, up, down, unused = free_ports(4)
    endpoint = f"http://{HOST}:{aws}"
    settings = {
        "UPLOADS_BUCKET": "uploads",
        "RESULTS_BUCKET": "results",
        "BROKER_URL": "amqp://none/",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "S3_ENDPOINT": endpoint,
        "S3_PUBLIC_ENDPOINT": endpoint,
        "ORIGIN_KEY": KEY,
    }
    with Supervisor(folder, print) as supervisor:
        arguments = (f"--port={aws}", "--origin=http://127.0.0.1:1", f"--folder={folder / 's'}")
        supervisor.start(Process.python("aws", "infra.local.aws", *arguments, **settings))
        for name, port, behind in (("up", up, api), ("down", down, unused)):
            arguments = (f"--port={port}", f"--api=http://{HOST}:{behind}", f"--site={site}")
            supervisor.start(Process.python(name, "infra.local.front", *arguments, **settings))
        supervisor.await_ready("aws", lambda: "ready" in (folder / "aws.log").read_text(), 60)
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        s3 = boto3.client("s3", endpoint_url=endpoint, region_name=REGION, **keys)
        known = {"ContentType": "image/png", "Expires": datetime(2027, 1, 15, 8, tzinfo=UTC)}
        s3.put_object(Bucket="results", Key=RESULT, Body=PIXELS, **known)
        for name, port in (("up", up), ("down", down)):
            supervisor.await_ready(name, lambda port=port: answers(port), 60)
        yield f"http://{HOST}:{up}", f"http://{HOST}:{down}", endpoint


@pytest.fixture
def front(fronts):
    return fronts[0]


def test_the_api_is_told_the_address_that_the_front_saw(front):
    forged = {
        "true-client-ip": "203.0.113.9",
        "X-ORIGIN-KEY": "forged",
        "X-Forwarded-For": "1.2.3.4",
    }
    heard = json.loads(request("GET", f"{front}/api/x", headers=forged).body)
    told = {name: value for name, value in heard.items() if name.lower() in map(str.lower, forged)}
    assert told == {ADDRESS_HEADER: HOST, KEY_HEADER: KEY, "X-Forwarded-For": "1.2.3.4"}


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        ([], 0, "peer"),
        (["198.51.100.1"], 0, "peer"),
        (["forged, 198.51.100.1"], 1, "198.51.100.1"),
        (["forged", "198.51.100.1, 10.0.0.1"], 2, "198.51.100.1"),
        (["198.51.100.1"], 2, "peer"),
    ],
)
def test_of_forwarded_addresses_only_those_of_our_own_proxies_count(forwarded, proxies, address):
    assert address_of("peer", forwarded, proxies) == address


def policy(answer):
    return dict(
        each.strip().partition(" ")[::2]
        for each in answer.headers["Content-Security-Policy"].split(";")
    )


def test_the_page_may_load_from_itself_and_upload_to_s3_alone(front, fronts):
    answer = request("GET", front + "/")
    assert answer.body == b"<h1>page</h1>"
    assert answer.headers["Cache-Control"] == "no-cache"
    rules = policy(answer)
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert rules["style-src"] == "'self'"
    assert rules["connect-src"] == f"'self' {fronts[2]}"
    assert rules["frame-ancestors"] == "'none'"


@pytest.mark.parametrize("path", ["/", "/sample.txt", "/none", "/api/x", f"/{RESULT}", "/files/x"])
def test_every_answer_carries_the_security_headers(front, path):
    answer = request("GET", front + path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_hashed_assets_are_kept_for_ever_and_others_are_not(front):
    assert "immutable" in request("GET", front + "/assets/index-1a2b.js").headers["Cache-Control"]
    assert request("GET", front + "/sample.txt").headers["Cache-Control"] == "no-cache"


def test_scripts_styles_and_answers_are_sent_compressed(front):
    accepted = {"Accept-Encoding": "gzip"}
    answer = request("GET", front + "/assets/index-1a2b.js", headers=accepted)
    assert answer.headers["Content-Encoding"] == "gzip"
    bare = request("GET", front + "/assets/index-1a2b.js")
    assert "Content-Encoding" not in bare.headers
    assert gzip.decompress(answer.body) == bare.body
    assert bare.headers["Content-Type"].startswith("text/javascript")


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt"])
def test_nothing_outside_the_site_is_served(front, path):
    answer = request("GET", front + path)
    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("application/problem+json")


def test_a_call_reaches_the_api_without_its_prefix(front):
    headers = {"Idempotency-Key": "f" * 32, "Content-Type": "application/json"}
    answer = request("POST", front + "/api/batches/a%20b?since=1&limit=2", b'{"a":1}', headers)
    assert answer.status == 202
    asked = json.loads(answer.body)
    assert asked["method"] == "POST"
    assert asked["path"] == "/batches/a%20b?since=1&limit=2"
    assert asked["body"] == '{"a":1}'
    assert asked["Idempotency-Key"] == "f" * 32


def test_a_body_in_chunks_reaches_the_api_whole(front):
    headers = {"Content-Type": "application/json"}
    answer = request("POST", front + "/api/batches", iter([b'{"a"', b":1}"]), headers)
    asked = json.loads(answer.body)
    assert asked["body"] == '{"a":1}'
    assert asked["Content-Length"] == "7"


def test_a_head_to_the_api_is_answered_as_a_get_without_its_body(front):
    answer = request("HEAD", front + "/api/operations")
    assert answer.status == 202
    assert answer.headers["ETag"] == '"1"'
    assert answer.body == b""


def test_not_modified_passes_through(front):
    answer = request("GET", front + "/api/operations", headers={"If-None-Match": '"1"'})
    assert answer.status == 304


def test_a_request_that_is_too_large_is_a_problem(front):
    answer = request("POST", front + "/api/batches", b"x" * (API_BODY_BYTES_MAX + 1))
    assert answer.status == 413
    sentence = f"a request to the API may hold {API_BODY_BYTES_MAX} bytes at most"
    assert json.loads(answer.body)["detail"] == sentence


def test_an_api_that_is_down_is_a_problem_that_says_so(fronts):
    answer = request("GET", fronts[1] + "/api/operations")
    assert answer.status == 503
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.headers["Retry-After"] == "2"
    assert json.loads(answer.body) == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "the API does not answer; it is started again within seconds",
    }


def test_a_result_is_read_from_the_bucket_and_may_do_nothing_in_a_browser(front):
    answer = request("GET", f"{front}/{RESULT}")
    assert answer.status == 200
    assert answer.body == PIXELS
    assert answer.headers["Content-Type"] == "image/png"
    assert int(answer.headers["Content-Length"]) == len(PIXELS)
    assert answer.headers["Expires"] == "Fri, 15 Jan 2027 08:00:00 GMT"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_head_of_a_result_gives_its_size_alone(front):
    answer = request("HEAD", f"{front}/{RESULT}")
    assert answer.status == 200
    assert int(answer.headers["Content-Length"]) == len(PIXELS)
    assert answer.body == b""


def test_a_range_of_a_result_can_be_requested(front):
    answer = request("GET", f"{front}/{RESULT}", headers={"Range": "bytes=100-199"})
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes 100-199/{len(PIXELS)}"
    assert answer.body == PIXELS[100:200]


def test_a_result_that_the_browser_has_is_not_sent_again(front):
    tag = request("GET", f"{front}/{RESULT}").headers["ETag"]
    answer = request("GET", f"{front}/{RESULT}", headers={"If-None-Match": tag})
    assert answer.status == 304
    assert answer.body == b""


def test_a_missing_result_is_a_problem(front):
    answer = request("GET", f"{front}/files/b/j/2/result.png")
    assert answer.status == 404
    assert json.loads(answer.body)["detail"] == "no such file; it may have expired"


def test_a_result_cannot_be_written(front):
    for method in ("PUT", "DELETE", "POST"):
        answer = request(method, f"{front}/{RESULT}", b"x")
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET, HEAD"
    assert request("GET", f"{front}/{RESULT}").body == PIXELS
