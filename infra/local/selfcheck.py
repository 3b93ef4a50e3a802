"""The self-check: send one real photograph through the whole app, as the page does.

`make run` runs it at each start, `make smoke URL=https://…` runs it on a deployed site.
"""

import importlib.util
import json
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.local.process import LocalError

SECONDS = 60.0
POLL_SECONDS = 0.05
REQUEST_SECONDS = 30.0

STEPS = [{"operation": "gaussian", "sigma": 2.0}]
PNG = b"\x89PNG\r\n\x1a\n"


def check(url: str, seconds: float = SECONDS, say: Callable[[str], None] = lambda _: None) -> None:
    """Send a photograph to the app, wait for its result and check it.

    Parameters
    ----------
    url : str
        Origin of the app.
    seconds : float
        Longest wait without any change of the job, in seconds.
    say : callable
        Called with the notice that the API may return with the batch.

    Raises
    ------
    LocalError
        If the job fails or stands still for longer, or its result is not a PNG of the
        photograph's size.
    """
    path = find_photograph()
    image = {"name": path.name, "bytes": path.stat().st_size, "type": "image/png"}
    body = {"steps": STEPS, "format": "same", "images": [image]}
    headers = {"Idempotency-Key": secrets.token_hex(16)}
    created = call_api("POST", f"{url}/api/batches", body, headers)
    batch, job = created["batch"], created["jobs"][0]
    if created["notice"]:
        say(created["notice"])
    upload(job["upload"], path.read_bytes())
    address = f"{url}/api/batches/{batch}"
    view = call_api("POST", f"{address}/jobs/{job['job']}/uploaded")
    deadline, seen = time.monotonic() + seconds, view["changed"]
    while view["state"] not in ("succeeded", "failed", "cancelled", "expired"):
        if view["changed"] != seen:
            deadline, seen = time.monotonic() + seconds, view["changed"]
        if time.monotonic() > deadline:
            raise LocalError(
                f"self-check: the photograph is still {view['state']}, and nothing has changed for "
                f"{seconds:g} s"
            )
        time.sleep(POLL_SECONDS)
        view = call_api("GET", f"{address}/jobs/{job['job']}")
    if view["state"] != "succeeded":
        raise LocalError(f"self-check: the photograph is {view['state']}: {view['reason']}")
    result = send("GET", url + view["result"]["url"])
    if result[:8] != PNG or read_png_size(result) != read_png_size(path.read_bytes()):
        raise LocalError(f"self-check: the result begins {result[:24].hex(' ')}, not as it should")
    # The self-check must leave no batch behind.
    call_api("DELETE", address)


def find_photograph() -> Path:
    """Return the path of scikit-image's portrait of an astronaut.

    scikit-image itself is not imported, because that takes long.

    Raises
    ------
    LocalError
        If scikit-image is not installed.
    """
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise LocalError("scikit-image is not installed in .venv; run: make run")
    return Path(package.origin).parent / "data" / "astronaut.png"


def read_png_size(png: bytes) -> bytes:
    """Return width and height of a PNG file: 8 bytes of its first chunk, big-endian."""
    return png[16:24]


def upload(form: dict[str, Any], file: bytes) -> None:
    """Upload a file with its presigned form.

    S3 requires the file after all other fields.

    Parameters
    ----------
    form : dict
        ``url`` and ``fields``, as the API returns them.
    file : bytes
        Content of the file.
    """
    boundary = secrets.token_hex(16)
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in form["fields"].items()
    )
    head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    body = head.encode() + file + f"\r\n--{boundary}--\r\n".encode()
    content_type = f"multipart/form-data; boundary={boundary}"
    send("POST", form["url"], body, {"Content-Type": content_type})


def call_api(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> Any:
    """Call the API with a JSON body; return the decoded JSON of the answer, None if it is empty."""
    sent = None if body is None else json.dumps(body).encode()
    answer = send(method, url, sent, {"Content-Type": "application/json", **(headers or {})})
    return json.loads(answer or b"null")


def send(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """Send a request and return the body of the answer; proxies of the environment are ignored.

    Raises
    ------
    LocalError
        If there is no answer, or its status is 400 or above; the message quotes the answer.
    """
    address = urlsplit(url)
    connect = HTTPSConnection if address.scheme == "https" else HTTPConnection
    with closing(connect(address.netloc, timeout=REQUEST_SECONDS)) as connection:
        try:
            connection.request(method, address.path or "/", body, dict(headers or {}))
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException) as error:
            raise LocalError(f"self-check: {method} failed: {error}") from error
    if answer.status >= HTTPStatus.BAD_REQUEST:
        text = content[:500].decode(errors="replace")
        raise LocalError(f"self-check: {method} answered {answer.status}: {text}")
    return content
