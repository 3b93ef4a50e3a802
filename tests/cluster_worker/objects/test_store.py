"""Requests to a store that fails now and then."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cluster_worker import Broken, Rejected
from cluster_worker.objects.store import Store

CONTENT = bytes(range(256)) * 64


class Failing(BaseHTTPRequestHandler):
    """An S3 of one object, which fails as its script says, then serves."""

    protocol_version = "HTTP/1.1"
    script: list[str]

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.do_GET()

    def do_GET(self):
        what = self.script.pop(0) if self.script else "whole"
        if what.isdigit():
            self.send_response(int(what))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        body = CONTENT[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"newer"' if what == "newer" else '"first"')
        self.send_header("Last-Modified", "Tue, 01 Dec 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(body[:10] if what == "short" else body)
        self.close_connection = what == "short"


@pytest.fixture
def store(monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        threading.Thread(target=server.serve_forever).start()
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield Store("s3://images/scans")
        server.shutdown()


@pytest.mark.parametrize("script", [["503", "500"], ["short"], ["503", "short", "short"]])
def test_a_request_is_tried_again_until_all_bytes_are_there(store, script):
    Failing.script = list(script)
    assert store.read_range("in.tif", 5, 3000, '"first"') == CONTENT[5:3000]
    assert Failing.script == []


def test_bytes_of_another_version_are_refused_if_the_server_sends_them(store):
    Failing.script = ["newer"]
    with pytest.raises(Rejected, match=r"in\.tif: was changed after this run had begun"):
        store.read_range("in.tif", 0, 9, '"first"')


def test_what_the_credentials_do_not_allow_is_refused(store):
    Failing.script = ["403"]
    with pytest.raises(Rejected, match=r"in\.tif: these credentials do not allow it"):
        store.read_range("in.tif", 0, 9, '"first"')


def test_a_store_that_may_not_be_written_to_is_refused_before_the_run(store):
    Failing.script = ["403"]
    with pytest.raises(Rejected, match=r"out\.tif: these credentials do not allow it"):
        store.check_writable("out.tif")


def test_a_store_that_is_not_reached_breaks_the_run_with_its_address(monkeypatch):
    monkeypatch.setattr("cluster_worker.objects.store.RETRY_SECONDS", 0.1)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "test")
    # No server listens at this port.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    sentence = r"^s3://images/scans/out\.tif: the store failed, or was not reached: "
    with pytest.raises(Broken, match=sentence):
        Store("s3://images/scans").check_writable("out.tif")
