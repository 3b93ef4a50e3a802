"""A client of the app for scripts: the REST calls, with the standard library alone."""

import http.client
import json
import secrets
import time
from urllib.parse import urlsplit

FINAL = ("succeeded", "failed", "cancelled", "expired")


class Client:
    """A client of the app at an address, for use from one thread.

    Parameters
    ----------
    url : str
        Origin of the site.
    source : str, optional
        Address of this machine that it calls from: another visitor has another one.
    """

    def __init__(self, url, source=None):
        self.url = urlsplit(url)
        self.source = source and (source, 0)
        self.connections = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.connections.values():
            connection.close()

    def request(self, method, path, body=None, headers=None, host=None):
        """Send a request over a kept connection; return status and body."""
        host = host or self.url.netloc
        is_kept = host in self.connections
        if not is_kept:
            self.connections[host] = http.client.HTTPConnection(
                host, timeout=60, source_address=self.source
            )
        connection = self.connections[host]
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.RemoteDisconnected:
            connection.close()
            if not is_kept or method != "GET":
                raise
            # The server has closed the idle connection. A GET can safely be repeated on a new one.
            del self.connections[host]
            return self.request(method, path, body, headers, host)
        except (http.client.HTTPException, OSError):
            connection.close()
            raise

    def call(self, method, path, body=None, **headers):
        """Call the API; return status and the decoded answer."""
        text = None if body is None else json.dumps(body)
        status, answer = self.request(
            method, f"/api{path}", text, {"Content-Type": "application/json", **headers}
        )
        return status, json.loads(answer)

    def create(self, steps, images, format="same", **more):
        """Create a batch of `(name, type, content)`; return its id and its jobs with forms.

        `more` is what the body has besides, such as ``inputs``.
        """
        batch, jobs = None, []
        for start in range(0, len(images), 100):
            described = [
                {"name": name, "type": kind, "bytes": len(content)}
                for name, kind, content in images[start : start + 100]
            ]
            if batch is None:
                body = {"steps": steps, "format": format, "images": described, **more}
                status, answer = self.call("POST", "/batches", body)
            else:
                status, answer = self.call("POST", f"/batches/{batch}/jobs", {"images": described})
            assert status == 201, answer
            batch = batch or answer["batch"]
            jobs += answer["jobs"]
        return batch, jobs

    def upload(self, form, content):
        """Send a file by its presigned form, as a browser does."""
        boundary = secrets.token_hex(16)
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in form["fields"].items()
        ]
        parts.append(
            f"--{boundary}\r\n"
            'Content-Disposition: form-data; name="file"; filename="file"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = "".join(parts).encode() + content + f"\r\n--{boundary}--\r\n".encode()
        where = urlsplit(form["url"])
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        status, answer = self.request("POST", where.path or "/", body, headers, where.netloc)
        assert status in (200, 201, 204), answer

    def submit(self, steps, images, format="same", **more):
        """Create a batch, upload and report every file; return its id and the jobs' ids."""
        batch, jobs = self.create(steps, images, format, **more)
        for job, (_, _, content) in zip(jobs, images, strict=True):
            self.upload(job["upload"], content)
            self.call("POST", f"/batches/{batch}/jobs/{job['job']}/uploaded")
        return batch, [job["job"] for job in jobs]

    def wait(self, batch, count, seconds=120, every=0.1):
        """Poll until `count` jobs are final; return the jobs by id."""
        jobs, cursor = {}, ""
        until = time.monotonic() + seconds
        while sum(job["state"] in FINAL for job in jobs.values()) < count:
            assert time.monotonic() < until, {job["state"] for job in jobs.values()}
            status, page = self.call("GET", f"/batches/{batch}?since={cursor}&limit=500")
            assert status == 200, page
            jobs |= {job["job"]: job for job in page["jobs"]}
            cursor = page["cursor"]
            if not page["more"]:
                time.sleep(every)
        return jobs

    def download(self, job):
        """Fetch the last image of a job."""
        status, content = self.request("GET", job["result"]["url"])
        assert status == 200, content
        return content

    def fetch(self, result):
        """Fetch one of the results that a job lists."""
        status, content = self.request("GET", result["address"])
        assert (status, len(content)) == (200, result["bytes"]), content
        return content
