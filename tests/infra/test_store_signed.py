"""Signatures, presigned addresses and forms of the S3 and DynamoDB of one machine."""

import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from infra.local.store.signatures import signing_key
from tests.infra.test_aws import form_body
from tests.infra.test_store import KEYS, client, code_of, coded, put
from tests.infra.web import request
from tests.store_server import serving


@pytest.fixture(scope="module")
def url():
    with serving(KEYS) as url:
        client(url).create_bucket(Bucket="b")
        yield url


def form_for(url, seconds=60):
    return client(url).generate_presigned_post(
        "b",
        "a/form",
        Fields={"Content-Type": "image/png"},
        Conditions=[{"Content-Type": "image/png"}, ["content-length-range", 5, 6]],
        ExpiresIn=seconds,
    )


def send(form, file, **changed):
    body, kind = form_body(form["fields"] | changed, file)
    return request("POST", form["url"], body, {"Content-Type": kind})


def test_a_form_takes_only_what_its_policy_says(url):
    form = form_for(url)
    assert send(form, b"12345").status == 204
    cases = {
        "EntityTooSmall": send(form, b"1234"),
        "EntityTooLarge": send(form, b"1234567"),
        "AccessDenied": send(form, b"12345", key="a/other"),
        "SignatureDoesNotMatch": send(form, b"12345", policy=form["fields"]["policy"][:-8]),
        "InvalidAccessKeyId": send(form, b"12345", **{"x-amz-credential": "none/20260101/a/s3/b"}),
    }
    assert {code: code_of(answer) for code, answer in cases.items()} == {
        each: each for each in cases
    }
    assert code_of(send(form, b"12345", **{"Content-Type": "text/html"})) == "AccessDenied"
    assert code_of(send(form, b"12345", acl="public-read")) == "AccessDenied"
    assert code_of(send(form_for(url, -1), b"12345")) == "AccessDenied"
    assert [each["Key"] for each in client(url).list_objects_v2(Bucket="b")["Contents"]] == [
        "a/form"
    ]


def test_a_presigned_part_takes_only_its_length(url):
    s3 = client(url)
    place = {"Bucket": "b", "Key": "a/part"}
    upload = s3.create_multipart_upload(**place)["UploadId"]
    given = {**place, "UploadId": upload, "PartNumber": 1, "ContentLength": 7}
    address = s3.generate_presigned_url("upload_part", Params=given, ExpiresIn=60)
    assert code_of(request("PUT", address, b"12345678")) == "SignatureDoesNotMatch"
    assert request("PUT", address, b"1234567").status == 200
    s3.abort_multipart_upload(**place, UploadId=upload)


def test_a_presigned_address_is_good_for_its_object_until_its_time(url):
    s3 = client(url)
    s3.put_object(Bucket="b", Key="read me", Body=b"pixels")

    def address(seconds):
        place = {"Bucket": "b", "Key": "read me", "ResponseContentDisposition": "attachment"}
        return s3.generate_presigned_url("get_object", Params=place, ExpiresIn=seconds)

    found = request("GET", address(60))
    assert (found.body, found.headers["Content-Disposition"]) == (b"pixels", "attachment")
    assert request("GET", address(60).replace("read", "have")).status == 403
    assert request("GET", f"{url}/b/read%20me").status == 403


def test_another_secret_is_refused(url):
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client(url, secret="guessed").list_objects_v2(Bucket="b")
    with pytest.raises(ClientError, match="AccessDenied"):
        client(url, "dynamodb", secret="guessed").list_tables()


def presigned_at(monkeypatch, url, moment, seconds=60):
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: moment)
    place = {"Bucket": "b", "Key": "presigned"}
    return client(url).generate_presigned_url("get_object", Params=place, ExpiresIn=seconds)


def test_a_presigned_address_is_good_for_its_seconds_alone(url, monkeypatch):
    put(url, "presigned")
    now, hour = datetime.now(UTC), timedelta(hours=1)
    assert request("GET", presigned_at(monkeypatch, url, now)).status == 200
    assert request("GET", presigned_at(monkeypatch, url, now - hour, 7200)).status == 200
    expired = request("GET", presigned_at(monkeypatch, url, now - hour))
    early = request("GET", presigned_at(monkeypatch, url, now + hour))
    assert [code_of(each) for each in (expired, early)] == ["AccessDenied"] * 2
    address = presigned_at(monkeypatch, url, now)
    wrong = [
        presigned_at(monkeypatch, url, now, 7 * 86_400 + 1),
        presigned_at(monkeypatch, url, now, -1),
        address.replace("Expires=60", "Expires=soon"),
        address.replace("&X-Amz-Expires=60", ""),
    ]
    for each in wrong:
        assert code_of(request("GET", each)) == "AuthorizationQueryParametersError"
    assert code_of(request("GET", address.replace("Expires=60", "Expires=61"))) == (
        "SignatureDoesNotMatch"
    )


def test_a_store_without_keys_keeps_to_the_time_of_an_address(monkeypatch):
    with serving() as url:
        client(url).create_bucket(Bucket="b")
        put(url, "presigned")
        late = presigned_at(monkeypatch, url, datetime.now(UTC) - timedelta(hours=1))
        assert code_of(request("GET", late)) == "AccessDenied"


def test_a_header_of_aws_must_be_signed(url):
    assert code_of(put(url, "unsigned", **{"x-amz-copy-source": "/b/read"})) == "AccessDenied"


def test_fields_of_a_form_are_read_up_to_a_limit(url):
    form = form_for(url)
    assert code_of(send(form, b"12345", **{"x-ignore-a": "a" * 30_000})) == (
        "MaxPostPreDataLengthExceeded"
    )
    assert send(form, b"12345", **{"x-ignore-a": "a" * 9_000}).status == 204
    fields = {"Content-Type": "multipart/form-data; boundary=a"}
    assert code_of(request("POST", form["url"], b"no form", fields)) == "MalformedPOSTRequest"
    body, kind = form_body(form["fields"] | {"x-ignore-a": "X"}, b"12345")
    body = body.replace(b"X\r\n------form", b"\xff\r\n------form", 1)
    answer = request("POST", form["url"], body, {"Content-Type": kind})
    assert code_of(answer) == "MalformedPOSTRequest"


def form_with(conditions, until="2100-01-01T00:00:00Z"):
    """Sign a policy by hand, since boto3 signs only what S3 takes."""
    scope = "20260101/eu-central-1/s3/aws4_request"
    policy = coded(json.dumps({"expiration": until, "conditions": conditions}).encode())
    key = signing_key(KEYS["local"], scope)
    signature = hmac.new(key, policy.encode(), "sha256").hexdigest()
    return {
        "policy": policy,
        "x-amz-credential": f"local/{scope}",
        "x-amz-signature": signature,
    }


@pytest.mark.parametrize(
    ("conditions", "fields", "expected"),
    [
        ([["starts-with", "$key", "a/"]], {"key": "a/1"}, ""),
        ([["starts-with", "$key", "a/"]], {"key": "b/1"}, "AccessDenied"),
        ([["eq", "$key", "a/1"], ["eq", "$Cache-Control", "x"]], {"key": "a/1"}, "AccessDenied"),
        ([["ends-with", "$key", "1"]], {"key": "a/1"}, "InvalidPolicyDocument"),
        ([["eq", "$key"]], {"key": "a/1"}, "InvalidPolicyDocument"),
        ([["content-length-range", "many", 9]], {"key": "a/1"}, "InvalidPolicyDocument"),
        ([["content-length-range", 0, 9], ["content-length-range", 0, 2]], {}, "EntityTooLarge"),
        ([["starts-with", "$x-amz-checksum-sha256", ""]], {}, "BadDigest"),
        ([], {}, "InvalidArgument"),
    ],
)
def test_a_policy_is_kept_to_whatever_it_says(url, conditions, fields, expected):
    credential = [["starts-with", "$x-amz-credential", "local/"]]
    if expected in {"EntityTooLarge", "BadDigest"}:
        fields, credential = {"key": "k"}, [*credential, {"key": "k"}]
    if expected == "BadDigest":
        fields["x-amz-checksum-sha256"] = coded(bytes(32))
    form = {"url": f"{url}/b", "fields": form_with([*conditions, *credential]) | fields}
    assert code_of(send(form, b"12345")) == expected


def test_a_policy_whose_time_has_no_zone_has_utc(url):
    conditions = [{"key": "k"}, ["starts-with", "$x-amz-credential", ""]]
    for until, status in (("2100-01-01T00:00:00", 204), ("2020-01-01T00:00:00", 403)):
        fields = form_with(conditions, until) | {"key": "k"}
        assert send({"url": f"{url}/b", "fields": fields}, b"1").status == status
