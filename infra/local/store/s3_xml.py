"""S3's XML: what requests say, and answers and errors."""

from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from aiohttp import web

from infra.local.store.objects import BadPart, NotThere, Stored
from infra.local.store.signatures import Refused

STATUS = {
    "AccessDenied": 403,
    "BucketNotEmpty": 409,
    "InvalidAccessKeyId": 403,
    "InvalidRange": 416,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NoSuchUpload": 404,
    "NotImplemented": 501,
    "PreconditionFailed": 412,
    "RequestTimeTooSkewed": 403,
    "SignatureDoesNotMatch": 403,
}


def read_xml(body: bytes, name: str) -> list[ElementTree.Element]:
    """Return the elements of this name in a request's body."""
    try:
        # Requests come from this machine, and are signed with its key.
        root = ElementTree.fromstring(body)  # noqa: S314
    except ElementTree.ParseError as error:
        raise Refused("MalformedXML", "The XML you provided was not well-formed") from error
    return [each for each in root.iter() if each.tag.rpartition("}")[2] == name]


def text_of(node: ElementTree.Element, name: str) -> str:
    """Return the text of the first element of this name inside another."""
    return next(
        (each.text or "" for each in node.iter() if each.tag.rpartition("}")[2] == name), ""
    )


def read_rules(body: bytes) -> list[dict[str, list[str]]]:
    """Read a bucket's rules for pages of other origins."""
    names = ("AllowedOrigin", "AllowedMethod", "AllowedHeader", "ExposeHeader")
    return [
        {
            name: [each.text or "" for each in rule if each.tag.rpartition("}")[2] == name]
            for name in names
        }
        for rule in read_xml(body, "CORSRule")
    ]


def iso(stored: Stored) -> str:
    """Return when an object was stored."""
    return datetime.fromtimestamp(stored.modified, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def element(name: str, **fields: object) -> str:
    """Return an element of XML with others inside."""
    inner = "".join(f"<{field}>{escape(str(value))}</{field}>" for field, value in fields.items())
    return f"<{name}>{inner}</{name}>"


def xml(name: str, inner: str = "", **fields: object) -> web.Response:
    """Answer with an element of XML."""
    text = element(name, **fields).removesuffix(f"</{name}>") + f"{inner}</{name}>"
    return web.Response(
        text=f'<?xml version="1.0" encoding="UTF-8"?>{text}', content_type="application/xml"
    )


def failure(error: Refused | NotThere | BadPart) -> web.Response:
    """Answer with an error as S3 does."""
    if isinstance(error, Refused):
        code, message = error.code, error.message
    elif isinstance(error, NotThere):
        code, message = error.code, "The specified key, bucket or upload does not exist."
    else:
        code, message = "InvalidPart", f"{error}: not found, or its entity tag does not match"
    answer = xml("Error", Code=code, Message=message)
    answer.set_status(STATUS.get(code, 400))
    if isinstance(error, Refused):
        answer.headers.update(error.headers)
    return answer
