"""The HTTP side of S3 and DynamoDB on one machine."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from infra.local.store.database import open_database
from infra.local.store.dynamodb import DynamoDb
from infra.local.store.errors import TableError
from infra.local.store.objects import BadPart, NotThere, Objects
from infra.local.store.rows import Rows
from infra.local.store.s3 import S3
from infra.local.store.s3_forms import Forms
from infra.local.store.s3_xml import failure
from infra.local.store.signatures import Refused, check_request, decode_query

DYNAMODB = "DynamoDB_20120810."
# Rows and transactions are small; this is what DynamoDB takes of a batch.
BODY_BYTES_MAX = 16 * 1024 * 1024


@dataclass
class Store:
    """The server's parts.

    Parameters
    ----------
    folder : Path
        Of database and files; what it holds from before is served again.
    keys : mapping of str to str
        Secrets by access keys; none checks no signature.
    """

    folder: Path
    keys: Mapping[str, str]

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.database = open_database(self.folder / "store.sqlite")
        self.objects = Objects(self.database, self.folder / "objects")
        self.s3 = S3(self.objects)
        self.forms = Forms(self.objects, self.keys)
        self.dynamodb = DynamoDb(Rows(self.database))

    def application(self) -> web.Application:
        """Return the application that answers all requests."""
        application = web.Application(client_max_size=BODY_BYTES_MAX)
        application.router.add_route("*", "/{path:.*}", self.answer)
        return application

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        target = request.headers.get("x-amz-target", "")
        if target:
            return await self.answer_table(request, target)
        bucket, _, key = unquote(path_of(request)).lstrip("/").partition("/")
        try:
            if request.method == "OPTIONS":
                return self.preflight(request, bucket)
            response = await self.answer_s3(request, bucket, key)
        except (Refused, NotThere, BadPart) as error:
            response = failure(error)
        if not response.prepared:
            response.headers.update(self.origin_headers(request, bucket))
        return response

    async def answer_s3(self, request: web.Request, bucket: str, key: str) -> web.StreamResponse:
        """Answer a request to S3."""
        query = query_of(request)
        if request.method == "POST" and request.content_type == "multipart/form-data" and not key:
            return await self.forms.answer(request, bucket)
        self.check(request, query, None)
        return await self.s3.answer(request, bucket, key, dict(query))

    def check(self, request: web.Request, query: list[tuple[str, str]], body: bytes | None) -> None:
        """Raise Refused if the signature of a request is wrong."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        check_request(request.method, path_of(request), query, headers, body, self.keys)

    async def answer_table(self, request: web.Request, target: str) -> web.Response:
        """Answer a request to DynamoDB."""
        body = await request.read()
        try:
            if not target.startswith(DYNAMODB):
                raise TableError(
                    "UnknownOperationException", f"{target}: not offered on one machine"
                )
            try:
                self.check(request, query_of(request), body)
            except Refused as error:
                raise TableError("AccessDeniedException", error.message) from error
            found: dict[str, Any] = self.dynamodb.answer(
                target.removeprefix(DYNAMODB), read_json(body)
            )
            status = 200
        except TableError as error:
            kind = f"com.amazonaws.dynamodb.v20120810#{error.code}"
            found = {
                "__type": kind,
                "message": error.message,
                "Message": error.message,
                **error.more,
            }
            status = 400
        return web.Response(
            status=status,
            body=json.dumps(found).encode(),
            content_type="application/x-amz-json-1.0",
        )

    def rule(
        self, request: web.Request, bucket: str, method: str
    ) -> Mapping[str, list[str]] | None:
        """Return the bucket's rule that lets a page of the request's origin use a method."""
        origin = request.headers.get("origin", "")
        if not origin or bucket not in self.objects.buckets():
            return None
        for rule in self.objects.rules(bucket):
            if {origin, "*"} & set(rule["AllowedOrigin"]) and method in rule["AllowedMethod"]:
                return rule
        return None

    def origin_headers(self, request: web.Request, bucket: str) -> dict[str, str]:
        """Return the headers by which a page of another origin may read the answer."""
        rule = self.rule(request, bucket, request.method)
        if rule is None:
            return {}
        return {
            "Access-Control-Allow-Origin": request.headers["origin"],
            "Access-Control-Expose-Headers": ", ".join(rule["ExposeHeader"]),
            "Vary": "Origin",
        }

    def preflight(self, request: web.Request, bucket: str) -> web.Response:
        """Say whether a page may send the request that it asks about."""
        method = request.headers.get("access-control-request-method", "")
        if self.rule(request, bucket, method) is None:
            raise Refused("AccessDenied", "CORSResponse: This CORS request is not allowed.")
        asked = request.headers.get("access-control-request-headers", "")
        return web.Response(
            headers={
                "Access-Control-Allow-Origin": request.headers["origin"],
                "Access-Control-Allow-Methods": method,
                "Access-Control-Allow-Headers": asked,
                "Access-Control-Max-Age": "3000",
                "Vary": "Origin",
            }
        )


def read_json(body: bytes) -> Any:
    """Read the JSON of a request to DynamoDB."""
    try:
        return json.loads(body)
    except ValueError as error:
        raise TableError("SerializationException", "The body is no JSON") from error


def path_of(request: web.Request) -> str:
    """Return the path as it was sent, with its percent signs."""
    return request.raw_path.partition("?")[0]


def query_of(request: web.Request) -> list[tuple[str, str]]:
    """Return the names and values behind the path."""
    return decode_query(request.raw_path.partition("?")[2])


async def serve(store: Store, host: str, port: int) -> web.AppRunner:
    """Listen for requests; return what ends it, and knows the addresses."""
    runner = web.AppRunner(store.application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, host, port, backlog=512).start()
    return runner


def run(store: Store, host: str, port: int, started: Any = None) -> None:
    """Serve until the process is ended; `started` is called when requests are taken."""

    async def main() -> None:
        await serve(store, host, port)
        if started:
            await asyncio.get_running_loop().run_in_executor(None, started)
        await asyncio.Event().wait()

    asyncio.run(main())
