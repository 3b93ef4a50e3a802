"""S3 and DynamoDB of one machine: what they refuse, what they keep, and what they do not copy."""

from contextlib import contextmanager

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.local.store.expressions import ExpressionError, Scope, holds, parse_condition
from infra.local.store.server import Store
from tests.infra.test_aws import form_body
from tests.infra.web import request
from tests.store_server import serving

KEYS = {"local": "a secret"}
GIGABYTE = 10**9
MIB = 1 << 20


@pytest.fixture(scope="module")
def url():
    with serving(KEYS) as url:
        client(url).create_bucket(Bucket="b")
        yield url


def client(url, service="s3", secret=KEYS["local"]):
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="local",
        aws_secret_access_key=secret,
        config=Config(
            signature_version="s3v4" if service == "s3" else None,
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
        ),
    )


def code_of(answer):
    return answer.body.decode().partition("<Code>")[2].partition("<")[0]


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
    assert request("GET", address(-1)).status == 403
    assert request("GET", f"{url}/b/read%20me").status == 403


def test_another_secret_is_refused(url):
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client(url, secret="guessed").list_objects_v2(Bucket="b")
    with pytest.raises(ClientError, match="AccessDenied"):
        client(url, "dynamodb", secret="guessed").list_tables()


def test_what_the_app_never_asks_for_is_refused_with_a_sentence(url):
    with pytest.raises(ClientError, match="not offered on one machine"):
        client(url).put_object_tagging(Bucket="b", Key="k", Tagging={"TagSet": []})
    with pytest.raises(ClientError, match="not offered on one machine"):
        client(url, "dynamodb").describe_limits()


@contextmanager
def store_at(folder):
    store = Store(folder, {})
    try:
        yield store
    finally:
        store.close()


def write(objects, content):
    with objects.receive() as writing:
        writing.write(content)
    return writing


def test_parts_are_joined_and_objects_copied_without_copying_bytes(tmp_path):
    with store_at(tmp_path) as store:
        objects = store.objects
        objects.create_bucket("b")
        upload = objects.upload("b", "whole", objects.begin("b", "whole", {}))
        sent = [write(objects, bytes([number]) * 9) for number in (1, 2, 3)]
        for number, part in enumerate(sent, start=1):
            objects.put_part(upload, number, part.etag, part.pieces)
        joined = objects.join(upload, [(1, sent[0].etag), (3, sent[2].etag)])
        assert [name for name, _ in joined.pieces] == [sent[0].path.name, sent[2].path.name]
        assert not sent[1].path.exists()
        objects.put("b", "copy", joined.etag, objects.link(joined.pieces), {})
        copied = objects.get("b", "copy")
        assert (objects.folder / copied.pieces[0][0]).samefile(sent[0].path)
        objects.delete("b", "whole")
        assert b"".join(objects.read(copied.pieces, 7, 11, 4)) == b"\1\1\3\3"
        assert len(list(objects.folder.iterdir())) == 2


def test_a_range_of_a_large_object_is_read_alone(tmp_path):
    with store_at(tmp_path) as store:
        objects = store.objects
        objects.create_bucket("b")
        part = objects.folder / "large"
        with part.open("wb") as file:
            file.truncate(5 * GIGABYTE)
            file.seek(4 * GIGABYTE)
            file.write(b"here")
        blocks = list(
            objects.read([("large", 5 * GIGABYTE)], 4 * GIGABYTE, 4 * GIGABYTE + 1024, MIB)
        )
        assert [len(each) for each in blocks] == [1024]
        assert blocks[0].startswith(b"here")


def test_a_later_server_at_the_same_folder_goes_on(tmp_path):
    schema = {"TableName": "t", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]}
    with store_at(tmp_path) as store:
        store.objects.create_bucket("b")
        kept = write(store.objects, b"pixels")
        store.objects.put("b", "k", kept.etag, kept.pieces, {"content-type": "image/png"})
        upload = store.objects.upload("b", "k", store.objects.begin("b", "k", {}))
        part = write(store.objects, b"part")
        store.objects.put_part(upload, 1, part.etag, part.pieces)
        left = write(store.objects, b"the process was killed before it was stored")
        rows = store.dynamodb.rows
        rows.put(rows.create(schema), {"pk": {"S": "a"}, "n": {"N": "1"}}, {})
    with store_at(tmp_path) as store:
        found = store.objects.get("b", "k")
        assert dict(found.headers) == {"content-type": "image/png"}
        assert b"".join(store.objects.read(found.pieces, 0, 6, MIB)) == b"pixels"
        assert [each.number for each in store.objects.parts(upload.id)] == [1]
        assert not left.path.exists()
        rows = store.dynamodb.rows
        assert rows.get(rows.table("t"), {"pk": {"S": "a"}})["n"] == {"N": "1"}


def test_a_listing_goes_on_behind_its_last_key(url):
    s3 = client(url)
    s3.create_bucket(Bucket="listed")
    names = ["a", "b/1", "b/2", "c%d é", "d/1"]
    for name in names:
        s3.put_object(Bucket="listed", Key=name, Body=b"")

    def pages(**more):
        return s3.get_paginator("list_objects_v2").paginate(
            Bucket="listed", PaginationConfig={"PageSize": 2}, **more
        )

    assert [each["Key"] for page in pages() for each in page.get("Contents", ())] == names
    found = list(pages(Delimiter="/"))
    assert [each["Key"] for page in found for each in page.get("Contents", ())] == ["a", "c%d é"]
    starts = [each["Prefix"] for page in found for each in page.get("CommonPrefixes", ())]
    assert starts == ["b/", "d/"]


ROW = {
    "state": {"S": "queued"},
    "n": {"N": "7"},
    "tags": {"SS": ["a", "b"]},
    "map": {"M": {"list": {"L": [{"N": "1"}, {"S": "x"}]}}},
}
VALUES = {":q": {"S": "queued"}, ":six": {"N": "6"}, ":nine": {"N": "9.0"}, ":a": {"S": "a"}}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("#s = :q AND n BETWEEN :six AND :nine", True),
        ("NOT #s = :q OR (n > :nine AND attribute_exists(n))", False),
        ("#s IN (:a, :q)", True),
        ("attribute_not_exists(map.list[2]) AND attribute_exists(map.list[1])", True),
        ("contains(tags, :a) AND begins_with(#s, :a)", False),
        ("size(tags) < :six", True),
        ("gone = :a", False),
        ("gone <> :a", True),
        ("n < :a", False),
    ],
)
def test_a_condition_holds_as_dynamodb_says(condition, expected):
    assert holds(parse_condition(condition), ROW, Scope({"#s": "state"}, VALUES)) is expected


@pytest.mark.parametrize(
    "text", ["#s =", "a = :q AND", "a ! :q", "(a = :q", "a = :q b", ":gone = a"]
)
def test_a_condition_that_cannot_be_read_is_refused(text):
    with pytest.raises(ExpressionError):
        holds(parse_condition(text), ROW, Scope({"#s": "state"}, VALUES))
