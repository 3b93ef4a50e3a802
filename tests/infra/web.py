"""HTTP for the tests here: one request and its whole answer, errors included."""

from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    status: int
    headers: HTTPMessage
    body: bytes


def request(method, url, body=None, headers=None, timeout=10):
    place = urlsplit(url)
    path = place.path + (f"?{place.query}" if place.query else "")
    with closing(HTTPConnection(place.netloc, timeout=timeout)) as connection:
        connection.request(method, path or "/", body, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
