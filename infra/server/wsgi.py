"""The Chalice app as a WSGI application."""

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from chalice.config import Config
from chalice.local import LocalGateway, LocalGatewayException

Start = Callable[[str, list[tuple[str, str]]], Any]


class Application:
    """A Chalice app as a WSGI application (PEP 3333).

    Parameters
    ----------
    app : chalice.Chalice
        The app, prepared for threads.
    """

    def __init__(self, app: Any) -> None:
        self.gateway = LocalGateway(app, Config(chalice_stage="api"))

    def __call__(self, environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        """Answer one request."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        path = environ["PATH_INFO"]
        if environ.get("QUERY_STRING"):
            path = f"{path}?{environ['QUERY_STRING']}"
        try:
            answer = self.gateway.handle_request(
                method=environ["REQUEST_METHOD"],
                path=path,
                headers=dict(headers_of(environ)),
                body=environ["wsgi.input"].read(length),
            )
        except LocalGatewayException as error:
            return self.problem(error.CODE, start_response)
        body = answer["body"] or ""
        sent = body if isinstance(body, bytes) else body.encode()
        start_response(status_line(answer["statusCode"]), list(headers_to(answer, len(sent))))
        return [sent]

    def problem(self, status: int, start_response: Start) -> Iterable[bytes]:
        """Answer a request that no route accepts, as the gateway on AWS answers it."""
        status = HTTPStatus.NOT_FOUND if status == HTTPStatus.FORBIDDEN else status
        body = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": "no such address or method",
        }
        sent = json.dumps(body).encode()
        headers = [
            ("Content-Type", "application/problem+json"),
            ("Cache-Control", "no-store"),
            ("Content-Length", str(len(sent))),
        ]
        start_response(status_line(status), headers)
        return [sent]


def headers_of(environ: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield the headers of a request, named as API Gateway names them."""
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            yield name.removeprefix("HTTP_").replace("_", "-").lower(), value
        elif name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            yield name.replace("_", "-").lower(), value


def headers_to(answer: dict[str, Any], length: int) -> Iterable[tuple[str, str]]:
    """Yield the headers of an answer; `length` is the size of the body, in bytes."""
    for name, value in answer["headers"].items():
        if name.lower() != "content-length":
            yield name, str(value)
    yield "Content-Length", str(length)


def status_line(status: int) -> str:
    """Return a status with its phrase, such as ``404 Not Found``."""
    return f"{status} {HTTPStatus(status).phrase}"
