"""Checks of AWS's signatures (version 4): of requests, of presigned addresses, and of forms.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
TIME = "%Y%m%dT%H%M%SZ"
# A signed request is refused when its time differs by more, as by S3.
SKEW = timedelta(minutes=15)
# A presigned address is good for a week at most, as by S3.
PRESIGNED_SECONDS_MAX = 7 * 24 * 60 * 60
PRESIGNED_FIELDS = ("Credential", "Date", "Expires", "SignedHeaders", "Signature")
# Headers of AWS that need not be signed.
FREE_HEADERS = {"x-amz-content-sha256"}
# Signing keys in the cache: one for each day and service.
KEYS_MAX = 32
# Fields of a form that need no condition.
FREE_FIELDS = {"x-amz-signature", "policy", "file"}
FREE_PREFIX = "x-ignore-"
KINDS = {"eq", "starts-with", "content-length-range"}


class Refused(Exception):
    """A request that may not be done: S3's code, a sentence, and headers of the answer."""

    def __init__(self, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.headers = code, message, headers or {}


def check_request(
    method: str,
    path: str,
    query: list[tuple[str, str]],
    headers: Mapping[str, str],
    body: bytes | None,
    keys: Mapping[str, str],
) -> None:
    """Check the signature of a request, which is in its header or in its address.

    Parameters
    ----------
    method : str
        Of HTTP.
    path : str
        As it was sent, with its percent signs.
    query : list of (name, value)
        Decoded.
    headers : mapping
        By name in lower case.
    body : bytes or None
        The body, if its hash is not in a header.
    keys : mapping of str to str
        Secrets by access keys; without any, all signatures are good.

    Raises
    ------
    Refused
        If there is no signature, it is wrong, or its time is over.
    """
    fields = dict(query)
    if fields.get("X-Amz-Algorithm") == ALGORITHM:
        moment = check_presigned(fields)
        credential, signed = fields["X-Amz-Credential"], fields["X-Amz-SignedHeaders"]
        signature = fields["X-Amz-Signature"]
        query = [each for each in query if each[0] != "X-Amz-Signature"]
        payload = UNSIGNED
    else:
        credential, signed, signature = parse_header(headers.get("authorization", ""))
        moment = read_time(headers.get("x-amz-date", ""))
        if abs(datetime.now(UTC) - moment) > SKEW:
            raise Refused(
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
            )
        payload = headers.get("x-amz-content-sha256") or hashlib.sha256(body or b"").hexdigest()
    names = signed.split(";")
    if (
        unsigned := {name for name in headers if name.startswith("x-amz-")}
        - FREE_HEADERS
        - set(names)
    ):
        raise Refused(
            "AccessDenied",
            "There were headers present in the request which were not signed: "
            f"{', '.join(sorted(unsigned))}",
        )
    canonical = "\n".join(
        [
            method,
            path,
            "&".join(sorted(f"{encode(name)}={encode(value)}" for name, value in query)),
            *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in names),
            "",
            signed,
            payload,
        ]
    )
    key, _, scope = credential.partition("/")
    text = "\n".join(
        [ALGORITHM, moment.strftime(TIME), scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    check_signature(signature, text, key, scope, keys)


def check_presigned(fields: Mapping[str, str]) -> datetime:
    """Return the time of a presigned address; raise Refused if it is not good now."""
    wrong = "AuthorizationQueryParametersError"
    if missing := [each for each in PRESIGNED_FIELDS if f"X-Amz-{each}" not in fields]:
        raise Refused(wrong, f"a presigned address needs X-Amz-{missing[0]}")
    expires = fields["X-Amz-Expires"]
    if not re.fullmatch(r"\d{1,9}", expires, re.ASCII) or int(expires) > PRESIGNED_SECONDS_MAX:
        raise Refused(wrong, f"X-Amz-Expires must be between 0 and {PRESIGNED_SECONDS_MAX} seconds")
    moment, now = read_time(fields["X-Amz-Date"]), datetime.now(UTC)
    if now > moment + timedelta(seconds=int(expires)):
        raise Refused("AccessDenied", "Request has expired")
    if moment > now + SKEW:
        raise Refused("AccessDenied", "Request is not valid yet")
    return moment


def parse_header(text: str) -> tuple[str, str, str]:
    """Return credential, names of the signed headers, and signature of an Authorization header."""
    found = re.fullmatch(
        rf"{ALGORITHM} Credential=(\S+), ?SignedHeaders=(\S+), ?Signature=(\w+)", text
    )
    if not found:
        raise Refused("AccessDenied", "Access Denied: the request has no signature of version 4")
    return found[1], found[2], found[3]


def check_signature(
    signature: str, text: str, key: str, scope: str, keys: Mapping[str, str]
) -> None:
    """Raise Refused unless a signature is that of a text under a key; without keys, pass."""
    if not keys:
        return
    if key not in keys:
        raise Refused("InvalidAccessKeyId", "The AWS access key Id you provided does not exist.")
    expected = hmac.new(signing_key(keys[key], scope), text.encode(), "sha256").hexdigest()
    if not hmac.compare_digest(signature, expected):
        raise Refused(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        )


@lru_cache(KEYS_MAX)
def signing_key(secret: str, scope: str) -> bytes:
    """Derive the key of one day, region and service from a secret."""
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def encode(text: str) -> str:
    """Encode a text as the signature's rules say."""
    return quote(text, safe="-_.~")


def decode_query(text: str) -> list[tuple[str, str]]:
    """Split the query of an address; a plus is a plus."""
    pairs = (each.partition("=") for each in text.split("&") if each)
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def read_time(text: str) -> datetime:
    """Read the time of a signature."""
    try:
        return datetime.strptime(text, TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise Refused("AccessDenied", f"no time of a signature: {text!r}") from error


def check_form(
    fields: Mapping[str, str], bucket: str, keys: Mapping[str, str]
) -> tuple[int, int] | None:
    """Check the signature and the conditions of a form, all but that on the file's length.

    Parameters
    ----------
    fields : mapping of str to str
        Of the form, by name in lower case, without the file.
    bucket : str
        That the form was sent to.
    keys : mapping of str to str
        Secrets by access keys.

    Returns
    -------
    (int, int) or None
        Fewest and most bytes of the file; None if the policy does not say.

    Raises
    ------
    Refused
        If the form does not fit its policy, or its time is over.
    """
    policy = fields.get("policy", "")
    key, _, scope = fields.get("x-amz-credential", "").partition("/")
    check_signature(fields.get("x-amz-signature", ""), policy, key, scope, keys)
    try:
        known: dict[str, Any] = json.loads(base64.b64decode(policy))
        until = datetime.fromisoformat(known["expiration"])
        listed = list(conditions(known["conditions"]))
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise Refused("InvalidPolicyDocument", "Invalid Policy: it cannot be read") from error
    if datetime.now(UTC) > (until if until.tzinfo else until.replace(tzinfo=UTC)):
        raise Refused("AccessDenied", "Invalid according to Policy: Policy expired.")
    sent = {**fields, "bucket": bucket}
    named, lengths = set(), None
    for kind, name, value in listed:
        if kind == "content-length-range":
            fewest, most = lengths or (0, int(value))
            lengths = max(fewest, int(name)), min(most, int(value))
            continue
        named.add(name)
        found = sent.get(name, "")
        if not (found.startswith(value) if kind == "starts-with" else found == value):
            raise Refused(
                "AccessDenied",
                "Invalid according to Policy: Policy Condition failed: "
                f'["{kind}", "${name}", "{value}"]',
            )
    extra = {each for each in fields.keys() - named if not each.startswith(FREE_PREFIX)}
    if extra := extra - FREE_FIELDS:
        raise Refused(
            "AccessDenied",
            f"Invalid according to Policy: Extra input fields: {', '.join(sorted(extra))}",
        )
    return lengths


def conditions(listed: Iterable[Any]) -> Iterable[tuple[str, str, str]]:
    """Yield the conditions of a policy as (kind, field in lower case or fewest bytes, value)."""
    for each in listed:
        if isinstance(each, dict):
            for name, value in each.items():
                yield "eq", name.lower(), str(value)
        else:
            kind, name, value = each
            if str(kind).lower() not in KINDS:
                raise ValueError(f"no kind of condition: {kind}")
            if str(kind).lower() == "content-length-range":
                name, value = int(name), int(value)
            yield str(kind).lower(), str(name).removeprefix("$").lower(), str(value)
