"""The self-check: one real photograph through the whole path, as a page sends it.

`make run` does it at each start, `make smoke URL=https://…` to a deployed site.
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
    """Send the photograph, wait for its result and look at it.

    Parameters
    ----------
    url : str
        Origin of the app.
    seconds : float
        How long to wait for the result.
    say : callable
        Takes what the app has to say meanwhile.

    Raises
    ------
    LocalError
        If it does not come back blurred, and whole, in that time.
    """
    picture = photograph()
    image = {"name": picture.name, "bytes": picture.stat().st_size, "type": "image/png"}
    body = {"steps": STEPS, "format": "same", "images": [image]}
    created = call("POST", f"{url}/api/batches", body, {"Idempotency-Key": secrets.token_hex(16)})
    batch, job = created["batch"], created["jobs"][0]
    if created["notice"]:
        say(created["notice"])
    upload(job["upload"], picture.read_bytes())
    address = f"{url}/api/batches/{batch}"
    view = call("POST", f"{address}/jobs/{job['job']}/uploaded")
    deadline = time.monotonic() + seconds
    while view["state"] not in ("succeeded", "failed", "cancelled", "expired"):
        if time.monotonic() > deadline:
            raise LocalError(
                f"self-check: the photograph is still {view['state']} after {seconds:g} s"
            )
        time.sleep(POLL_SECONDS)
        view = call("GET", f"{address}/jobs/{job['job']}")
    if view["state"] != "succeeded":
        raise LocalError(f"self-check: the photograph is {view['state']}: {view['reason']}")
    result = send("GET", url + view["result"]["url"])
    if result[:8] != PNG or size_of(result) != size_of(picture.read_bytes()):
        raise LocalError(f"self-check: the result begins {result[:24].hex(' ')}, not as it should")
    # Nothing of it stays.
    call("DELETE", address)


def photograph() -> Path:
    """Find scikit-image's portrait of an astronaut, without importing scikit-image."""
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise LocalError("scikit-image is not installed in .venv; run: make run")
    return Path(package.origin).parent / "data" / "astronaut.png"


def size_of(png: bytes) -> bytes:
    """Width and height of a PNG, as they stand in its first chunk."""
    return png[16:24]


def upload(form: dict[str, Any], file: bytes) -> None:
    """Send a file by its presigned form, the fields first."""
    boundary = secrets.token_hex(16)
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in form["fields"].items()
    )
    head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    body = head.encode() + file + f"\r\n--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}"
    send("POST", form["url"], body, {"Content-Type": kind})


def call(method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
    """Call the API with JSON."""
    sent = None if body is None else json.dumps(body).encode()
    answer = send(method, url, sent, {"Content-Type": "application/json", **(headers or {})})
    return json.loads(answer or b"null")


def send(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """Send a request and read its answer, past any proxy that the environment names.

    Raises
    ------
    LocalError
        If it is refused, in the answer's own words, or not answered.
    """
    place = urlsplit(url)
    kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
    with closing(kind(place.netloc, timeout=REQUEST_SECONDS)) as connection:
        try:
            connection.request(method, place.path or "/", body, dict(headers or {}))
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException) as error:
            raise LocalError(f"self-check: {method} failed: {error}") from error
    if answer.status >= HTTPStatus.BAD_REQUEST:
        said = content[:500].decode(errors="replace")
        raise LocalError(f"self-check: {method} answered {answer.status}: {said}")
    return content
