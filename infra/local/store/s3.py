"""S3's calls: from HTTP to `Objects`, and the answers in XML."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import formatdate
from itertools import pairwise
from urllib.parse import quote, unquote

from aiohttp import web

from infra.local.store.objects import BadPart, Objects, Piece, Stored, part_etag
from infra.local.store.s3_headers import (
    KEPT_HEADERS,
    Checksums,
    check_writable,
    is_wanted,
    kept_headers,
    names,
    read_number,
    read_range,
)
from infra.local.store.s3_xml import element, iso, read_rules, read_xml, text_of, xml
from infra.local.store.signatures import Refused

# Bytes of a file that are read at once; an answer of no more is sent whole.
BLOCK_BYTES = 1 << 20
# S3's own limits: of a listing, of a key, of what one request stores, and of parts.
KEYS_MAX = 1000
NUMBER_MAX = 2**31 - 1
KEY_BYTES_MAX = 1024
BODY_BYTES_MAX = 5 << 30
PARTS_MAX = 10_000
# The last part may be smaller.
PART_BYTES_MIN = 5 << 20
# What a query may ask of an object that is not offered.
SUBRESOURCES = {
    *("acl", "attributes", "legal-hold", "partNumber", "retention", "tagging", "torrent"),
    *("uploadId", "uploads", "versionId", "restore", "select"),
}
COPY = "x-amz-copy-source"


class S3:
    """Answers S3's calls from objects.

    Parameters
    ----------
    objects : Objects
        The buckets.
    """

    def __init__(self, objects: Objects) -> None:
        self.objects = objects

    async def answer(
        self, request: web.Request, bucket: str, key: str, query: Mapping[str, str]
    ) -> web.StreamResponse:
        """Answer one call, whose signature has been checked.

        Raises
        ------
        Refused, NotThere, BadPart
            If it is refused.
        """
        method, marks = request.method, query.keys()
        if not bucket:
            return self.list_buckets()
        if key:
            if len(key.encode(errors="surrogateescape")) > KEY_BYTES_MAX:
                raise Refused("KeyTooLongError", "Your key is too long")
            match method:
                case "PUT" if marks >= {"partNumber", "uploadId"}:
                    return await self.put_part(request, bucket, key, query)
                case "PUT" if not marks & SUBRESOURCES:
                    return await self.put(request, bucket, key)
                case "GET" if "uploadId" in marks:
                    return self.list_parts(bucket, key, query)
                case "GET" | "HEAD" if not marks & SUBRESOURCES:
                    return await self.get(request, bucket, key, query)
                case "POST" if "uploads" in marks:
                    upload = self.objects.begin(bucket, key, kept_headers(request.headers))
                    return xml(
                        "InitiateMultipartUploadResult", Bucket=bucket, Key=key, UploadId=upload
                    )
                case "POST" if "uploadId" in marks:
                    return await self.join(request, bucket, key, query)
                case "DELETE" if "uploadId" in marks:
                    self.objects.abort(self.objects.upload(bucket, key, query["uploadId"]))
                    return web.Response(status=204)
                case "DELETE" if not marks & SUBRESOURCES:
                    if "if-match" in request.headers:
                        check_writable(request.headers, self.objects.etag_of(bucket, key))
                    self.objects.delete(bucket, key)
                    return web.Response(status=204)
        else:
            match method:
                case "PUT" if "cors" in marks:
                    self.objects.set_rules(bucket, read_rules(await read_body(request)))
                    return web.Response()
                case "PUT" if not marks:
                    self.objects.create_bucket(bucket)
                    return web.Response(headers={"Location": f"/{bucket}"})
                case "HEAD":
                    self.objects.check_bucket(bucket)
                    return web.Response()
                case "GET" if "uploads" in marks:
                    return self.list_uploads(bucket, query)
                case "GET" if not marks - LISTING:
                    return self.list_objects(bucket, query)
                case "POST" if "delete" in marks:
                    return await self.delete_objects(request, bucket)
                case "DELETE" if not marks:
                    self.objects.delete_bucket(bucket)
                    return web.Response(status=204)
        raise Refused(
            "NotImplemented", f"{method} with {sorted(marks)}: not offered on one machine"
        )

    def list_buckets(self) -> web.Response:
        """List all buckets."""
        named = "".join(element("Bucket", Name=each) for each in self.objects.buckets())
        return xml("ListAllMyBucketsResult", inner=f"<Buckets>{named}</Buckets>")

    async def put(self, request: web.Request, bucket: str, key: str) -> web.Response:
        """Store an object from the request's body, or copy another one."""
        self.objects.check_bucket(bucket)
        check_writable(request.headers, self.objects.etag_of(bucket, key))
        headers = kept_headers(request.headers)
        if COPY in request.headers:
            source = self.source(request)
            if request.headers.get("x-amz-metadata-directive", "COPY") == "COPY":
                headers = dict(source.headers)
            etag = part_etag(source)
            self.objects.put(bucket, key, etag, self.objects.link(source.pieces), headers)
            return xml(
                "CopyObjectResult", ETag=etag, LastModified=iso(self.objects.get(bucket, key))
            )
        etag, pieces = await self.receive(request)
        with self.objects.discarded_on_error(pieces):
            # Another request may have written the object meanwhile.
            check_writable(request.headers, self.objects.etag_of(bucket, key))
            self.objects.put(bucket, key, etag, pieces, headers)
        return web.Response(headers={"ETag": etag})

    def source(self, request: web.Request) -> Stored:
        """Return the object that a request copies, if the request's conditions on it hold."""
        path = unquote(request.headers[COPY].partition("?")[0])
        bucket, _, key = path.lstrip("/").partition("/")
        if f"{COPY}-range" in request.headers:
            raise Refused("NotImplemented", "a range of a copy: not offered on one machine")
        stored = self.objects.get(bucket, key)
        conditions = {
            name.lower().removeprefix(f"{COPY}-"): value
            for name, value in request.headers.items()
            if name.lower().startswith(f"{COPY}-")
        }
        if not is_wanted(conditions, stored):
            raise Refused("PreconditionFailed", "The object to be copied is not to be copied")
        return stored

    async def receive(self, request: web.Request) -> tuple[str, tuple[Piece, ...]]:
        """Write a request's body to a file; return its ETag and the file.

        Raises
        ------
        Refused
            If the body is not what the headers say, or is too large.
        """
        if "aws-chunked" in request.headers.get("content-encoding", ""):
            raise Refused("NotImplemented", "bodies in signed chunks: not offered on one machine")
        if (request.content_length or 0) > BODY_BYTES_MAX:
            raise Refused("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
        checksums = Checksums(lowered(request))
        with self.objects.receive() as writing:
            async for chunk in request.content.iter_any():
                writing.write(chunk)
                checksums.update(chunk)
            checksums.compare()
        return writing.etag, writing.pieces

    async def get(
        self, request: web.Request, bucket: str, key: str, query: Mapping[str, str]
    ) -> web.StreamResponse:
        """Send an object, or a range of its bytes."""
        stored = self.objects.get(bucket, key)
        headers = {
            "ETag": stored.etag,
            "Last-Modified": formatdate(stored.modified, usegmt=True),
            "Accept-Ranges": "bytes",
            "content-type": "binary/octet-stream",
            **stored.headers,
            **{
                name.removeprefix("response-"): value
                for name, value in query.items()
                if name.removeprefix("response-") in KEPT_HEADERS
            },
        }
        if not is_wanted(request.headers, stored):
            return web.Response(status=304, headers=headers)
        start, stop, status = 0, stored.size, 200
        asked = request.headers.get("range", "")
        if asked and not names(request.headers.get("if-range", "*"), stored.etag):
            asked = ""
        if found := read_range(asked, stored.size):
            start, stop = found
            status = 206
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{stored.size}"
        headers["Content-Length"] = str(stop - start)
        if request.method == "HEAD":
            return web.Response(status=status, headers=headers)
        blocks = self.objects.read(stored.pieces, start, stop, BLOCK_BYTES)
        if stop - start <= BLOCK_BYTES:
            return web.Response(status=status, headers=headers, body=b"".join(blocks))
        with self.objects.reading(stored.pieces):
            return await send(request, web.StreamResponse(status=status, headers=headers), blocks)

    async def put_part(
        self, request: web.Request, bucket: str, key: str, query: Mapping[str, str]
    ) -> web.Response:
        """Store a part from the request's body, or make one of another object."""
        upload = self.objects.upload(bucket, key, query["uploadId"])
        number = read_number(query["partNumber"], 1, 1, PARTS_MAX, "partNumber")
        if COPY in request.headers:
            source = self.source(request)
            etag, pieces = part_etag(source), self.objects.link(source.pieces)
            self.objects.put_part(upload, number, etag, pieces)
            return xml("CopyPartResult", ETag=etag, LastModified=iso(source))
        etag, received = await self.receive(request)
        with self.objects.discarded_on_error(received):
            # The upload may have been joined or aborted meanwhile.
            self.objects.upload(bucket, key, upload.id)
            self.objects.put_part(upload, number, etag, received)
        return web.Response(headers={"ETag": etag})

    async def join(
        self, request: web.Request, bucket: str, key: str, query: Mapping[str, str]
    ) -> web.Response:
        """Join the parts that the request names."""
        parts = read_xml(await read_body(request), "Part")
        # From here on nothing is awaited: no other request sees the upload half joined.
        upload = self.objects.upload(bucket, key, query["uploadId"])
        check_writable(request.headers, self.objects.etag_of(bucket, key))
        sizes = {each.number: each.size for each in self.objects.parts(upload.id)}
        listed = [
            (
                read_number(text_of(part, "PartNumber"), 0, 1, PARTS_MAX, "PartNumber"),
                text_of(part, "ETag"),
            )
            for part in parts
        ]
        if not listed:
            raise Refused("MalformedXML", "The XML names no parts")
        if any(first >= second for (first, _), (second, _) in pairwise(listed)):
            raise Refused("InvalidPartOrder", "The list of parts was not in ascending order.")
        if missing := [number for number, _ in listed if number not in sizes]:
            raise BadPart(f"part {missing[0]}")
        if any(sizes[number] < PART_BYTES_MIN for number, _ in listed[:-1]):
            raise Refused(
                "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size"
            )
        stored = self.objects.join(upload, listed)
        return xml("CompleteMultipartUploadResult", Bucket=bucket, Key=key, ETag=stored.etag)

    def list_parts(self, bucket: str, key: str, query: Mapping[str, str]) -> web.Response:
        """List the parts of an upload."""
        upload = self.objects.upload(bucket, key, query["uploadId"])
        marker, most = query.get("part-number-marker"), query.get("max-parts")
        after = read_number(marker, 0, 0, NUMBER_MAX, "part-number-marker")
        limit = read_number(most, KEYS_MAX, 0, NUMBER_MAX, "max-parts")
        found = [each for each in self.objects.parts(upload.id) if each.number > after]
        shown = found[: min(limit, KEYS_MAX)]
        inner = "".join(
            element(
                "Part",
                PartNumber=each.number,
                ETag=each.etag,
                Size=each.size,
                LastModified=iso(each),
            )
            for each in shown
        )
        more = {"IsTruncated": "true" if len(shown) < len(found) else "false"}
        if shown:
            more["NextPartNumberMarker"] = str(shown[-1].number)
        return xml("ListPartsResult", inner, Bucket=bucket, Key=key, UploadId=upload.id, **more)

    def list_uploads(self, bucket: str, query: Mapping[str, str]) -> web.Response:
        """List the uploads in parts that have not ended."""
        named = "".join(
            element(
                "Upload",
                Key=shown_key(each.key, query),
                UploadId=each.id,
                Initiated=datetime.fromtimestamp(each.begun, UTC).isoformat(),
            )
            for each in self.objects.uploads(bucket, query.get("prefix", ""))
        )
        return xml(
            "ListMultipartUploadsResult", named, Bucket=bucket, IsTruncated="false", **coded(query)
        )

    def list_objects(self, bucket: str, query: Mapping[str, str]) -> web.Response:
        """List objects by key, and the starts of keys up to a delimiter."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = (
            query.get("continuation-token") or query.get("start-after") or query.get("marker", "")
        )
        limit = read_number(query.get("max-keys"), KEYS_MAX, 0, NUMBER_MAX, "max-keys")
        limit = min(limit, KEYS_MAX)
        contents: list[Stored] = []
        starts: list[str] = []
        last, more = after, False
        # A listing of no keys has no next page.
        while limit and not more:
            found = self.objects.find(bucket, prefix, last, limit + 1)
            for each in found:
                if len(contents) + len(starts) == limit:
                    more = True
                    break
                head, mark, _ = (
                    each.key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
                )
                if mark:
                    starts.append(prefix + head + mark)
                    # The next page of the database begins behind all keys with this start.
                    last = starts[-1] + "\U0010ffff"
                    break
                contents.append(each)
                last = each.key
            else:
                break
        inner = "".join(
            element(
                "Contents",
                Key=shown_key(each.key, query),
                ETag=each.etag,
                Size=each.size,
                LastModified=iso(each),
                StorageClass="STANDARD",
            )
            for each in contents
        )
        inner += "".join(
            element("CommonPrefixes", Prefix=shown_key(each, query)) for each in starts
        )
        token = {"NextContinuationToken": last} if more else {}
        return xml(
            "ListBucketResult",
            inner,
            Name=bucket,
            Prefix=shown_key(prefix, query),
            MaxKeys=limit,
            KeyCount=len(contents) + len(starts),
            IsTruncated="true" if more else "false",
            **token,
            **coded(query),
        )

    async def delete_objects(self, request: web.Request, bucket: str) -> web.Response:
        """Delete the objects that the request names."""
        self.objects.check_bucket(bucket)
        objects = read_xml(await read_body(request), "Object")
        if any(text_of(each, "ETag") for each in objects):
            raise Refused(
                "NotImplemented", "conditions of deleting several: not offered on one machine"
            )
        keys = [text_of(each, "Key") for each in objects]
        if not 1 <= len(keys) <= KEYS_MAX:
            raise Refused("MalformedXML", f"The XML must name between 1 and {KEYS_MAX} objects")
        for key in keys:
            self.objects.delete(bucket, key)
        return xml("DeleteResult", "".join(element("Deleted", Key=each) for each in keys))


LISTING = {
    *(
        "list-type",
        "prefix",
        "delimiter",
        "continuation-token",
        "start-after",
        "marker",
        "max-keys",
    ),
    *("encoding-type", "fetch-owner", "location"),
}


async def send(
    request: web.Request, response: web.StreamResponse, blocks: Iterable[bytes]
) -> web.StreamResponse:
    """Send blocks of a file; they are read on another thread, as a disk may be slow."""
    iterator = iter(blocks)
    loop = asyncio.get_running_loop()
    # A client may close the connection when it has seen enough.
    with suppress(ConnectionError):
        await response.prepare(request)
        while block := await loop.run_in_executor(None, next, iterator, b""):
            await response.write(block)
        await response.write_eof()
    return response


async def read_body(request: web.Request) -> bytes:
    """Read a body of XML; raise Refused if it is not what the headers say."""
    checksums = Checksums(lowered(request))
    body = await request.read()
    checksums.update(body)
    checksums.compare()
    return body


def lowered(request: web.Request) -> dict[str, str]:
    """Return the headers of a request by their names in lower case."""
    return {name.lower(): value for name, value in request.headers.items()}


def shown_key(key: str, query: Mapping[str, str]) -> str:
    """Return a key as the client asked for it."""
    return quote(key) if query.get("encoding-type") == "url" else key


def coded(query: Mapping[str, str]) -> dict[str, str]:
    """Return the field that says how keys are written."""
    return {"EncodingType": "url"} if query.get("encoding-type") == "url" else {}
