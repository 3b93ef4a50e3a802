"""S3's calls: from HTTP to `Objects`, and the answers in XML."""

import asyncio
import base64
import binascii
import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from itertools import pairwise
from urllib.parse import quote, unquote

from aiohttp import BodyPartReader, web

from infra.local.store.objects import Objects, Stored, part_etag
from infra.local.store.s3_xml import element, iso, read_rules, read_xml, text_of, xml
from infra.local.store.signatures import Refused, check_form

# Sent with an object, kept, and sent back.
KEPT_HEADERS = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
)
META = "x-amz-meta-"
# Bytes of a file that are read at once; an answer of no more is sent whole.
BLOCK_BYTES = 1 << 20
# S3's own limits of a listing and of a form's fields.
KEYS_MAX = 1000
FIELD_BYTES_MAX = 20_000
# S3's smallest part, but for the last one.
PART_BYTES_MIN = 5 << 20


class S3:
    """Answers S3's calls from objects.

    Parameters
    ----------
    objects : Objects
        The buckets.
    keys : mapping of str to str
        Secrets by access keys.
    """

    def __init__(self, objects: Objects, keys: Mapping[str, str]) -> None:
        self.objects = objects
        self.keys = keys

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
            match method:
                case "PUT" if "partNumber" in marks:
                    return await self.put_part(request, bucket, key, query)
                case "PUT" if not marks & {"tagging", "acl", "uploadId"}:
                    return await self.put(request, bucket, key)
                case "GET" if "uploadId" in marks:
                    return self.list_parts(bucket, key, query)
                case "GET" | "HEAD" if not marks & {"tagging", "acl", "attributes"}:
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
                case "DELETE" if not marks & {"tagging"}:
                    self.objects.delete(bucket, key)
                    return web.Response(status=204)
        else:
            match method:
                case "PUT" if "cors" in marks:
                    self.objects.set_rules(bucket, read_rules(await request.read()))
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
        self.check_unwritten(request, bucket, key)
        headers = kept_headers(request.headers)
        if "x-amz-copy-source" in request.headers:
            source = self.source(request)
            if request.headers.get("x-amz-metadata-directive", "COPY") == "COPY":
                headers = dict(source.headers)
            etag = part_etag(source)
            self.objects.put(bucket, key, etag, self.objects.link(source.pieces), headers)
            return xml(
                "CopyObjectResult", ETag=etag, LastModified=iso(self.objects.get(bucket, key))
            )
        etag, pieces = await self.receive(request)
        self.check_unwritten(request, bucket, key)
        self.objects.put(bucket, key, etag, pieces, headers)
        return web.Response(headers={"ETag": etag})

    def check_unwritten(self, request: web.Request, bucket: str, key: str) -> None:
        """Raise Refused if the object is there and the request is not to replace it."""
        if request.headers.get("if-none-match") == "*" and self.objects.pieces_of(bucket, key):
            raise Refused("PreconditionFailed", "At least one of the pre-conditions did not hold")

    def source(self, request: web.Request) -> Stored:
        """Return the object that a request copies."""
        path = unquote(request.headers["x-amz-copy-source"].partition("?")[0])
        bucket, _, key = path.lstrip("/").partition("/")
        if "x-amz-copy-source-range" in request.headers:
            raise Refused("NotImplemented", "a range of a copy: not offered on one machine")
        return self.objects.get(bucket, key)

    async def receive(self, request: web.Request) -> tuple[str, tuple[tuple[str, int], ...]]:
        """Write a request's body to a file; return its ETag and the file.

        Raises
        ------
        Refused
            If the body is not what the headers say.
        """
        if "aws-chunked" in request.headers.get("content-encoding", ""):
            raise Refused("NotImplemented", "bodies in signed chunks: not offered on one machine")
        wanted = request.headers.get("x-amz-checksum-crc32", "")
        crc = 0
        with self.objects.receive() as writing:
            async for chunk in request.content.iter_any():
                writing.write(chunk)
                crc = zlib.crc32(chunk, crc) if wanted else 0
            sums = [(wanted, crc.to_bytes(4, "big"))]
            sums.append((request.headers.get("content-md5", ""), writing.digest.digest()))
            for text, found in sums:
                if text and decode(text) != found:
                    raise Refused(
                        "BadDigest", "A checksum you specified did not match what we received."
                    )
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
        if (wanted := request.headers.get("if-match", "*")) != "*" and (
            stored.etag.strip('"') not in {each.strip(' "') for each in wanted.split(",")}
        ):
            raise Refused("PreconditionFailed", "At least one of the pre-conditions did not hold")
        if request.headers.get("if-none-match", "").strip('"') == stored.etag.strip('"'):
            return web.Response(status=304, headers=headers)
        start, stop, status = 0, stored.size, 200
        if asked := request.headers.get("range"):
            start, stop = read_range(asked, stored.size)
            status = 206
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{stored.size}"
        headers["Content-Length"] = str(stop - start)
        if request.method == "HEAD":
            return web.Response(status=status, headers=headers)
        blocks = self.objects.read(stored.pieces, start, stop, BLOCK_BYTES)
        if stop - start <= BLOCK_BYTES:
            return web.Response(status=status, headers=headers, body=b"".join(blocks))
        return await send(request, web.StreamResponse(status=status, headers=headers), blocks)

    async def put_part(
        self, request: web.Request, bucket: str, key: str, query: Mapping[str, str]
    ) -> web.Response:
        """Store a part from the request's body, or make one of another object."""
        upload = self.objects.upload(bucket, key, query["uploadId"])
        number = int(query["partNumber"])
        if "x-amz-copy-source" in request.headers:
            source = self.source(request)
            etag, pieces = part_etag(source), self.objects.link(source.pieces)
            self.objects.put_part(upload, number, etag, pieces)
            return xml("CopyPartResult", ETag=etag, LastModified=iso(source))
        etag, received = await self.receive(request)
        # The upload may have been aborted meanwhile.
        self.objects.upload(bucket, key, upload.id)
        self.objects.put_part(upload, number, etag, received)
        return web.Response(headers={"ETag": etag})

    async def join(
        self, request: web.Request, bucket: str, key: str, query: Mapping[str, str]
    ) -> web.Response:
        """Join the parts that the request names."""
        upload = self.objects.upload(bucket, key, query["uploadId"])
        sizes = {each.number: each.size for each in self.objects.parts(upload.id)}
        listed = []
        for part in read_xml(await request.read(), "Part"):
            listed.append((int(text_of(part, "PartNumber")), text_of(part, "ETag")))
        if not listed or any(first >= second for (first, _), (second, _) in pairwise(listed)):
            raise Refused("InvalidPartOrder", "The list of parts was not in ascending order.")
        if any(
            sizes.get(number, 0) < PART_BYTES_MIN for number, _ in listed[:-1] if number in sizes
        ):
            raise Refused(
                "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size"
            )
        stored = self.objects.join(upload, listed)
        return xml("CompleteMultipartUploadResult", Bucket=bucket, Key=key, ETag=stored.etag)

    def list_parts(self, bucket: str, key: str, query: Mapping[str, str]) -> web.Response:
        """List the parts of an upload."""
        upload = self.objects.upload(bucket, key, query["uploadId"])
        after = int(query.get("part-number-marker", 0))
        found = [each for each in self.objects.parts(upload.id) if each.number > after]
        shown = found[: int(query.get("max-parts", KEYS_MAX))]
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
        limit = min(int(query.get("max-keys", KEYS_MAX)), KEYS_MAX)
        contents: list[Stored] = []
        starts: list[str] = []
        last, more = after, False
        while not more:
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
        keys = [text_of(each, "Key") for each in read_xml(await request.read(), "Object")]
        for key in keys:
            self.objects.delete(bucket, key)
        return xml("DeleteResult", "".join(element("Deleted", Key=each) for each in keys))

    async def post_form(self, request: web.Request, bucket: str) -> web.Response:
        """Store the file of a form, if it is as the form's policy says."""
        self.objects.check_bucket(bucket)
        fields: dict[str, str] = {}
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise Refused("MalformedPOSTRequest", "A form's field is no form itself.")
            name = (part.name or "").lower()
            if name != "file":
                fields[name] = bytes(await part.read()).decode()
                if sum(map(len, fields.values())) > FIELD_BYTES_MAX:
                    raise Refused("MaxPostPreDataLengthExceeded", "The form's fields are too long.")
                continue
            lengths = check_form(fields, bucket, self.keys)
            with self.objects.receive() as writing:
                while chunk := await part.read_chunk(BLOCK_BYTES):
                    writing.write(chunk)
                    if lengths and writing.size > lengths[1]:
                        raise Refused(
                            "EntityTooLarge",
                            "Your proposed upload exceeds the maximum allowed size",
                        )
                if lengths and writing.size < lengths[0]:
                    raise Refused(
                        "EntityTooSmall",
                        "Your proposed upload is smaller than the minimum allowed size",
                    )
            self.objects.put(
                bucket, fields["key"], writing.etag, writing.pieces, kept_headers(fields)
            )
            return web.Response(status=204, headers={"ETag": writing.etag})
        raise Refused("InvalidArgument", "POST requires exactly one file upload per request.")


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
    await response.prepare(request)
    iterator = iter(blocks)
    loop = asyncio.get_running_loop()
    while block := await loop.run_in_executor(None, next, iterator, b""):
        await response.write(block)
    await response.write_eof()
    return response


def read_range(text: str, size: int) -> tuple[int, int]:
    """Return the first byte, and that behind the last, of a Range header."""
    first, _, last = text.removeprefix("bytes=").partition("-")
    start = int(first) if first else max(size - int(last), 0)
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        raise Refused("InvalidRange", "The requested range is not satisfiable")
    return start, stop


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers, or fields of a form, that are kept with an object."""
    named = {name.lower(): value for name, value in headers.items()}
    return {
        name: value
        for name, value in named.items()
        if name in KEPT_HEADERS or name.startswith(META)
    }


def decode(text: str) -> bytes:
    """Decode base64; nothing if it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


def shown_key(key: str, query: Mapping[str, str]) -> str:
    """Return a key as the client asked for it."""
    return quote(key) if query.get("encoding-type") == "url" else key


def coded(query: Mapping[str, str]) -> dict[str, str]:
    """Return the field that says how keys are written."""
    return {"EncodingType": "url"} if query.get("encoding-type") == "url" else {}
