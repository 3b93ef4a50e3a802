"""Forms by which a page stores a file: their fields, their policy, and the answer.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
"""

from collections.abc import Mapping

from aiohttp import BodyPartReader, web

from infra.local.store.objects import Objects, Writing
from infra.local.store.s3_headers import Checksums, kept_headers
from infra.local.store.s3_xml import xml
from infra.local.store.signatures import Refused, check_form

# S3's own limit of all fields before the file.
FIELD_BYTES_MAX = 20_000
# Bytes of the file that are read at once.
BLOCK_BYTES = 1 << 20


class Forms:
    """Answers forms with objects.

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

    async def answer(self, request: web.Request, bucket: str) -> web.Response:
        """Store the file of a form, if it is as the form's policy says.

        Raises
        ------
        Refused
            If the form is none, or its policy does not allow it.
        """
        self.objects.check_bucket(bucket)
        fields: dict[str, str] = {}
        room = FIELD_BYTES_MAX
        try:
            async for part in await request.multipart():
                if not isinstance(part, BodyPartReader):
                    raise malformed("a form's field is no form itself")
                name = (part.name or "").lower()
                if name == "file":
                    return await self.store(bucket, fields, part)
                content = await read_field(part, room)
                room -= len(content) + len(name)
                fields[name] = content.decode()
        except ValueError as error:
            raise malformed(str(error)) from error
        raise Refused("InvalidArgument", "POST requires exactly one file upload per request.")

    async def store(
        self, bucket: str, fields: Mapping[str, str], part: BodyPartReader
    ) -> web.Response:
        """Store the file of a form under the key that its fields name."""
        lengths = check_form(fields, bucket, self.keys)
        if "key" not in fields:
            raise Refused("InvalidArgument", "Bucket POST must contain a field named 'key'.")
        if "success_action_redirect" in fields:
            raise Refused("NotImplemented", "success_action_redirect: not offered on one machine")
        checksums = Checksums(fields)
        with self.objects.receive() as writing:
            while chunk := await part.read_chunk(BLOCK_BYTES):
                writing.write(chunk)
                checksums.update(chunk)
                if lengths and writing.size > lengths[1]:
                    raise Refused(
                        "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"
                    )
            if lengths and writing.size < lengths[0]:
                raise Refused(
                    "EntityTooSmall",
                    "Your proposed upload is smaller than the minimum allowed size",
                )
            checksums.compare()
        key = fields["key"].replace("${filename}", part.filename or "")
        with self.objects.discarded_on_error(writing.pieces):
            self.objects.put(bucket, key, writing.etag, writing.pieces, kept_headers(fields))
        return stored(bucket, key, writing, fields.get("success_action_status", ""))


async def read_field(part: BodyPartReader, room: int) -> bytes:
    """Read a field of at most `room` bytes; raise Refused if it is longer."""
    content = b""
    while chunk := await part.read_chunk(FIELD_BYTES_MAX):
        content += chunk
        if len(content) > room:
            raise Refused(
                "MaxPostPreDataLengthExceeded",
                "Your POST request fields preceding the upload file were too large.",
            )
    return content


def malformed(why: str) -> Refused:
    """Make the error for a body that is no form."""
    return Refused(
        "MalformedPOSTRequest", f"The body of your POST request is not well-formed: {why}"
    )


def stored(bucket: str, key: str, writing: Writing, status: str) -> web.Response:
    """Answer that the file is stored, with the status that the form asks for."""
    headers = {"ETag": writing.etag}
    if status == "201":
        response = xml("PostResponse", Bucket=bucket, Key=key, ETag=writing.etag)
        response.set_status(201)
        response.headers.update(headers)
        return response
    return web.Response(status=200 if status == "200" else 204, headers=headers)
