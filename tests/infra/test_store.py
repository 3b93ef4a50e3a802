"""S3 and DynamoDB of one machine: what they refuse, what they keep, and what they do not copy."""

import base64
import hashlib
import signal
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.local.store.s3_headers import crc32c
from infra.local.store.server import Store
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


def client(url, service="s3", secret=KEYS["local"], **more):
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
            **more,
        ),
    )


def code_of(answer):
    return answer.body.decode().partition("<Code>")[2].partition("<")[0]


def test_what_the_app_never_asks_for_is_refused_with_a_sentence(url):
    with pytest.raises(ClientError, match="not offered on one machine"):
        client(url).put_object_tagging(Bucket="b", Key="k", Tagging={"TagSet": []})
    objects = [{"Key": "k", "ETag": '"e"'}]
    with pytest.raises(ClientError, match="not offered on one machine"):
        client(url).delete_objects(Bucket="b", Delete={"Objects": objects})
    with pytest.raises(ClientError, match="not offered on one machine"):
        client(url).get_object(Bucket="b", Key="k", PartNumber=1)
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
    schema = {
        "TableName": "t",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    }
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


def refused(call, *arguments, **fields):
    with pytest.raises(ClientError) as error:
        call(*arguments, **fields)
    return error.value.response["Error"]["Code"]


def put(url, key, content=b"pixels", **headers):
    """Store an object under a presigned address, with headers that the address does not sign."""
    address = client(url).generate_presigned_url("put_object", Params={"Bucket": "b", "Key": key})
    return request("PUT", address, content, headers)


def read(url, key, **headers):
    address = client(url).generate_presigned_url("get_object", Params={"Bucket": "b", "Key": key})
    return request("GET", address, None, headers)


def parts_of(s3, key, *contents):
    """Begin an upload and send parts; return the arguments that join them."""
    place = {"Bucket": "b", "Key": key}
    place["UploadId"] = s3.create_multipart_upload(**place)["UploadId"]
    listed = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(**place, PartNumber=number, Body=content)["ETag"],
        }
        for number, content in enumerate(contents, start=1)
    ]
    return {**place, "MultipartUpload": {"Parts": listed}}


def test_an_upload_is_joined_once_also_when_asked_twice_at_a_time(url):
    s3 = client(url)
    content = bytes(5 * MIB) + b"last"
    whole = parts_of(s3, "twice", content[: 5 * MIB], content[5 * MIB :])

    def join(_):
        try:
            return s3.complete_multipart_upload(**whole)["ETag"]
        except ClientError as error:
            return error.response["Error"]["Code"]

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(join, range(4)))
    assert answers[1:] == ["NoSuchUpload"] * 3
    assert answers[0].endswith('-2"')
    assert s3.get_object(Bucket="b", Key="twice")["Body"].read() == content


KILLED = """
import os, signal, sys
from pathlib import Path
from infra.local.store.objects import Objects
from infra.local.store.server import Store

objects = Store(Path(sys.argv[1]), {}).objects
objects.create_bucket("b")
upload = objects.upload("b", "k", objects.begin("b", "k", {}))
listed = []
for number in (1, 2):
    with objects.receive() as writing:
        writing.write(bytes([number]) * 9)
    objects.put_part(upload, number, writing.etag, writing.pieces)
    listed.append((number, writing.etag))
Objects.forget = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
objects.join(upload, listed)
"""


def test_a_join_that_a_kill_interrupts_leaves_the_parts(tmp_path):
    ended = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    with store_at(tmp_path) as store:
        objects = store.objects
        assert not objects.find("b")
        (upload,) = objects.uploads("b")
        listed = [(each.number, each.etag) for each in objects.parts(upload.id)]
        joined = objects.join(upload, listed)
        assert b"".join(objects.read(joined.pieces, 0, 18, MIB)) == b"\1" * 9 + b"\2" * 9
        assert not objects.uploads("b")
        assert len(list(objects.folder.iterdir())) == 2


@pytest.mark.parametrize("number", [0, -1, 10_001])
def test_a_part_has_a_number_from_1_to_10_000(url, number):
    s3 = client(url)
    whole = parts_of(s3, "numbered", b"1")
    place = {name: whole[name] for name in ("Bucket", "Key", "UploadId")}
    address = s3.generate_presigned_url("upload_part", Params={**place, "PartNumber": number})
    assert code_of(request("PUT", address, b"other")) == "InvalidArgument"
    listed = {"Parts": [{"PartNumber": number, "ETag": "x"}]}
    joined = refused(s3.complete_multipart_upload, **place, MultipartUpload=listed)
    assert joined == "InvalidArgument"
    assert [each["PartNumber"] for each in s3.list_parts(**place)["Parts"]] == [1]
    s3.abort_multipart_upload(**place)


def test_a_write_is_done_only_under_its_conditions(url):
    s3 = client(url)
    place = {"Bucket": "b", "Key": "conditional"}
    assert refused(s3.put_object, **place, Body=b"1", IfMatch='"x"') == "NoSuchKey"
    etag = s3.put_object(**place, Body=b"1", IfNoneMatch="*")["ETag"]
    cases = [
        refused(s3.put_object, **place, Body=b"2", IfNoneMatch="*"),
        refused(s3.put_object, **place, Body=b"2", IfMatch='"x"'),
        refused(s3.delete_object, **place, IfMatch='"x"'),
        refused(s3.copy_object, Bucket="b", Key="copied", CopySource=place, CopySourceIfMatch="x"),
    ]
    whole = parts_of(s3, "conditional", b"2")
    cases += [
        refused(s3.complete_multipart_upload, **whole, IfNoneMatch="*"),
        refused(s3.complete_multipart_upload, **whole, IfMatch='"x"'),
    ]
    assert cases == ["PreconditionFailed"] * 6
    assert refused(s3.put_object, **place, Body=b"2", IfNoneMatch='"x"') == "NotImplemented"
    assert s3.get_object(**place)["Body"].read() == b"1"
    etag = s3.complete_multipart_upload(**whole, IfMatch=etag)["ETag"]
    etag = s3.put_object(**place, Body=b"3", IfMatch=etag)["ETag"]
    assert s3.get_object(**place, IfMatch=f'"x", {etag}')["Body"].read() == b"3"
    s3.delete_object(**place, IfMatch=etag)
    assert refused(s3.head_object, **place) == "404"


def test_an_object_is_sent_only_under_the_conditions_of_the_request(url):
    put(url, "read")
    etag = read(url, "read").headers["ETag"]
    earlier, later = "Thu, 01 Jan 2015 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
    cases = {
        412: [{"If-Match": '"x"'}, {"If-Unmodified-Since": earlier}],
        304: [
            {"If-None-Match": f'"x", {etag}'},
            {"If-None-Match": "*"},
            {"If-Modified-Since": later},
        ],
        200: [
            {"If-Match": f'"x", {etag}', "If-Unmodified-Since": earlier},
            {"If-None-Match": '"x"', "If-Modified-Since": later},
            {"If-Modified-Since": "yesterday"},
        ],
    }
    for status, asked in cases.items():
        assert [read(url, "read", **each).status for each in asked] == [status] * len(asked)


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("bytes=-5", 206, b"ixels"),
        ("bytes=-50", 206, b"pixels"),
        ("bytes=5-", 206, b"s"),
        ("bytes=0-0", 206, b"p"),
        ("bytes=4-99", 206, b"ls"),
        ("bytes=6-", 416, None),
        ("bytes=6-9", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=5-2", 200, b"pixels"),
        ("bytes=-", 200, b"pixels"),
        ("bytes=a-b", 200, b"pixels"),
        ("bytes=0-1,3-4", 200, b"pixels"),
        ("pixels=0-1", 200, b"pixels"),
        (f"bytes={'9' * 4500}-", 200, b"pixels"),
    ],
)
def test_a_range_is_read_as_http_says(url, asked, status, expected):
    put(url, "ranged")
    found = read(url, "ranged", Range=asked)
    assert found.status == status
    if status == 416:
        assert (code_of(found), found.headers["Content-Range"]) == ("InvalidRange", "bytes */6")
    else:
        assert found.body == expected
    other = read(url, "ranged", **{"Range": asked, "If-Range": '"another object"'})
    assert (other.status, other.body) == (200, b"pixels")


def coded(digest):
    return base64.b64encode(digest).decode()


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("ChecksumSHA256", coded(hashlib.sha256(b"pixels").digest())),
        ("ChecksumSHA1", coded(hashlib.sha1(b"pixels").digest())),  # noqa: S324
        ("ChecksumCRC32", coded(zlib.crc32(b"pixels").to_bytes(4, "big"))),
        ("ChecksumCRC32C", coded(crc32c(b"pixels").to_bytes(4, "big"))),
        ("ContentMD5", coded(hashlib.md5(b"pixels").digest())),  # noqa: S324
    ],
)
def test_a_checksum_that_is_sent_is_compared(url, name, right):
    s3 = client(url)
    place = {"Bucket": "b", "Key": "summed"}
    s3.put_object(**place, Body=b"pixels", **{name: right})
    assert refused(s3.put_object, **place, Body=b"pixelS", **{name: right}) == "BadDigest"
    wrong = refused(s3.put_object, **place, Body=b"pixels", **{name: "no base64"})
    assert wrong == ("InvalidDigest" if name == "ContentMD5" else "InvalidRequest")
    part = parts_of(s3, "summed", b"1") | {"PartNumber": 2, "Body": b"pixelS", name: right}
    part.pop("MultipartUpload")
    assert refused(s3.upload_part, **part) == "BadDigest"
    assert s3.get_object(**place)["Body"].read() == b"pixels"


def test_crc32c_is_that_of_the_standard():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"6789", crc32c(b"12345")) == 0xE3069283


def test_a_body_is_the_one_that_was_signed(url):
    s3 = client(url, request_checksum_calculation="when_required")

    def changed(request, **_):
        request.body = b"other"

    s3.meta.events.register("before-send.s3.PutObject", changed)
    code = refused(s3.put_object, Bucket="b", Key="signed", Body=b"pixel")
    assert code == "XAmzContentSHA256Mismatch"


def test_a_listing_has_as_many_keys_as_asked_for(url):
    s3 = client(url)
    assert s3.list_objects_v2(Bucket="b")["KeyCount"]
    none = s3.list_objects_v2(Bucket="b", MaxKeys=0)
    assert (none["KeyCount"], none["IsTruncated"]) == (0, False)
    assert refused(s3.list_objects_v2, Bucket="b", MaxKeys=-1) == "InvalidArgument"


def test_an_object_is_sent_whole_that_is_replaced_meanwhile(tmp_path):
    with store_at(tmp_path) as store:
        objects = store.objects
        objects.create_bucket("b")
        upload = objects.upload("b", "k", objects.begin("b", "k", {}))
        sent = [write(objects, bytes([number]) * 9) for number in (1, 2)]
        for number, part in enumerate(sent, start=1):
            objects.put_part(upload, number, part.etag, part.pieces)
        found = objects.join(upload, [(1, sent[0].etag), (2, sent[1].etag)])
        with objects.reading(found.pieces):
            blocks = objects.read(found.pieces, 0, 18, 4)
            assert next(blocks) == b"\1" * 4
            objects.delete("b", "k")
            assert b"".join(blocks) == b"\1" * 5 + b"\2" * 9
        assert not list(objects.folder.iterdir())


def test_a_client_that_has_seen_enough_leaves_no_traceback(url, caplog):
    put(url, "large", bytes(40 * MIB))
    s3 = client(url)
    for _ in range(3):
        body = s3.get_object(Bucket="b", Key="large")["Body"]
        body.read(1)
        body.close()
    # The server has met the closed connections when it has answered this.
    assert len(read(url, "large").body) == 40 * MIB
    assert not [each for each in caplog.records if each.name.startswith("aiohttp")]


def test_what_is_received_in_vain_is_deleted(tmp_path):
    with store_at(tmp_path) as store:
        objects = store.objects
        left = write(objects, b"pixels")
        with pytest.raises(KeyError), objects.discarded_on_error(left.pieces):
            objects.put("no bucket", "k", left.etag, left.pieces, {})
        assert not list(objects.folder.iterdir())
