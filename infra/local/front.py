"""The front: a server that joins site, API (under /api) and results (under /files) in one origin.

Run as ``python -m infra.local.front --port PORT --api URL --site FOLDER``. On AWS, CloudFront does
this. The front logs no addresses, because they hold batch ids.
"""

import argparse
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import boto3
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web
from botocore.config import Config
from yarl import URL

from config.contract.settings import ApiSettings, load
from config.contract.visitor import ADDRESS_HEADER, KEY_HEADER
from infra.headers import API_POLICY, FILE_POLICY, HEADERS, KEPT_FOR_EVER, site_policy
from infra.local.ports import HOST

# Largest request to the API: a preview with a file of 3 MB, in base64. API Gateway accepts 10 MB.
API_BODY_BYTES_MAX = 4_200_000
# The API's timeout is that of API Gateway; the files' allows for a slow disk.
API_SECONDS = 29.0
FILE_SECONDS = 300.0
CHUNK_BYTES = 256 * 1024

# Headers that describe one connection, not the message (RFC 9110, 7.6.1), and headers that this
# server or its client writes itself. They are not forwarded.
NOT_FORWARDED = {
    "connection",
    "date",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
# Headers of requests for results, and of their answers, that are forwarded.
FILE_REQUEST_HEADERS = ("Range", "If-Range", "If-None-Match", "If-Modified-Since")
FILE_ANSWER_HEADERS = (
    "Content-Type",
    "Content-Length",
    "Content-Range",
    "Content-Disposition",
    "Accept-Ranges",
    "Cache-Control",
    "Expires",
    "ETag",
    "Last-Modified",
)

# Content types of files that are sent compressed, by the ending of their names.
COMPRESSED = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Front:
    """The routes of the front.

    Parameters
    ----------
    site : Path
        Folder of the built site.
    api : str
        Origin at which Chalice listens, such as ``http://127.0.0.1:20001``.
    settings : ApiSettings
        Bucket of the results, endpoints of S3, and the key by which the API knows this front.
    proxies : int
        Number of proxies before this front whose entries in X-Forwarded-For are believed.
    """

    def __init__(self, site: Path, api: str, settings: ApiSettings, proxies: int = 0) -> None:
        self.site = site
        self.api = api
        self.bucket = settings.results_bucket
        self.key = settings.origin_key
        self.proxies = proxies
        self.policy = site_policy(settings.s3_public_endpoint)
        self.s3 = boto3.client(
            "s3",
            endpoint_url=settings.s3_endpoint,
            region_name=settings.aws_region,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def application(self) -> web.Application:
        """Build the aiohttp application."""
        application = web.Application(
            middlewares=[convert_errors], client_max_size=API_BODY_BYTES_MAX
        )
        application.on_response_prepare.append(add_headers)
        application.cleanup_ctx.append(self._session)
        application.router.add_route("*", "/api/{path:.*}", self.pass_to_api)
        application.router.add_route("*", "/files/{path:.*}", self.pass_file)
        application.router.add_get("/", self.index)
        application.router.add_get("/{path:.+}", self.asset)
        return application

    async def _session(self, _: web.Application) -> Any:
        # Answers are forwarded unchanged, so they must not be decompressed.
        connector = TCPConnector(limit=0)
        async with ClientSession(connector=connector, auto_decompress=False) as self.session:
            yield

    async def index(self, _: web.Request) -> web.StreamResponse:
        """Serve the page.

        It names the files with hashes, so the browser must revalidate it at each visit.
        """
        return web.FileResponse(
            self.site / "index.html",
            headers={"Cache-Control": "no-cache", "Content-Security-Policy": self.policy},
        )

    async def asset(self, request: web.Request) -> web.StreamResponse:
        """Serve a file of the site; 404 if there is none."""
        path = (self.site / request.match_info["path"]).resolve()
        if not path.is_relative_to(self.site) or not path.is_file():
            return problem(404, "no such page")
        hashed = request.path.startswith("/assets/")
        headers = {
            "Cache-Control": KEPT_FOR_EVER if hashed else "no-cache",
            "Content-Security-Policy": self.policy,
        }
        content_type = COMPRESSED.get(path.suffix)
        if content_type is None or "Range" in request.headers:
            return web.FileResponse(path, headers=headers)
        response = web.Response(
            body=path.read_bytes(), content_type=content_type, charset="utf-8", headers=headers
        )
        response.enable_compression()
        return response

    async def pass_to_api(self, request: web.Request) -> web.StreamResponse:
        """Forward a call to Chalice.

        Chalice's routes have no /api prefix, and it supports neither HEAD nor chunked bodies.
        """
        body = await request.read()
        method = "GET" if request.method == "HEAD" else request.method
        target = URL(self.api + request.raw_path.removeprefix("/api"), encoded=True)
        headers = self.with_address(request)
        return await self._forward(
            request,
            self.session.request(
                method,
                target,
                data=body or None,
                headers=headers,
                # Otherwise aiohttp adds a type to a call without a body, which the API refuses.
                skip_auto_headers=["Content-Type"],
                allow_redirects=False,
                timeout=ClientTimeout(total=API_SECONDS),
            ),
            lambda answer: end_to_end(answer) | {"Content-Security-Policy": API_POLICY},
            "the API does not answer; it is started again within seconds",
        )

    def with_address(self, request: web.Request) -> dict[str, str]:
        """Return the headers for the API, with the address of the client as this front saw it."""
        # The client of the API computes the length from the body. A visitor must not choose the
        # address by which its share and quotas are counted.
        left_out = {"content-length", ADDRESS_HEADER.lower(), KEY_HEADER.lower()}
        kept = end_to_end(request.headers).items()
        address = address_of(
            request.remote or "", request.headers.getall("X-Forwarded-For", []), self.proxies
        )
        return {name: value for name, value in kept if name.lower() not in left_out} | {
            ADDRESS_HEADER: address,
            KEY_HEADER: self.key,
        }

    async def pass_file(self, request: web.Request) -> web.StreamResponse:
        """Forward a request for a result to the bucket."""
        if request.method not in ("GET", "HEAD"):
            return problem(405, "a result can only be read", Allow="GET, HEAD")
        target = self.s3.generate_presigned_url(
            "head_object" if request.method == "HEAD" else "get_object",
            Params={"Bucket": self.bucket, "Key": request.path.removeprefix("/")},
            ExpiresIn=60,
        )
        headers = {
            name: request.headers[name] for name in FILE_REQUEST_HEADERS if name in request.headers
        }
        return await self._forward(
            request,
            self.session.request(
                request.method,
                URL(target, encoded=True),
                headers=headers | {"Accept-Encoding": "identity"},
                allow_redirects=False,
                timeout=ClientTimeout(total=None, sock_connect=5, sock_read=FILE_SECONDS),
            ),
            lambda answer: (
                {name: answer[name] for name in FILE_ANSWER_HEADERS if name in answer}
                | {"Content-Security-Policy": FILE_POLICY}
            ),
            "the results do not answer; they are back within seconds",
            missing=(403, 404),
        )

    async def _forward(
        self,
        request: web.Request,
        pending: Any,
        choose_headers: Callable[[Mapping[str, str]], dict[str, str]],
        when_down: str,
        missing: tuple[int, ...] = (),
    ) -> web.StreamResponse:
        """Stream an answer to the browser, or send a problem if there is no answer.

        Parameters
        ----------
        request : web.Request
            The browser's request.
        pending : awaitable
            The request that was made for it, which results in the answer.
        choose_headers : callable
            Takes the headers of the answer, returns those to send.
        when_down : str
            Sentence for the user if the server does not answer.
        missing : tuple of int
            Statuses of the answer that become 404.
        """
        try:
            answer = await pending
        except TimeoutError:
            return problem(504, "no answer in time; try again")
        except ClientError:
            return problem(503, when_down, **{"Retry-After": "2"})
        async with answer:
            if answer.status in missing:
                return problem(404, "no such file; it may have expired")
            headers = choose_headers(answer.headers)
            response = web.StreamResponse(status=answer.status, headers=headers)
            if answer.content_type in COMPRESSED.values() and "Content-Encoding" not in headers:
                # As CloudFront does; the length is that of the bare answer.
                response.headers.pop("Content-Length", None)
                response.enable_compression()
            # The browser may have closed the connection, which is not an error.
            with contextlib.suppress(ConnectionResetError):
                await response.prepare(request)
                if request.method != "HEAD":
                    async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                        await response.write(chunk)
                await response.write_eof()
            return response


def address_of(peer: str, forwarded: Sequence[str], proxies: int) -> str:
    """Return the address of a client.

    Parameters
    ----------
    peer : str
        The other end of the connection.
    forwarded : sequence of str
        Values of the headers X-Forwarded-For, to which each proxy adds the address that it saw.
    proxies : int
        Number of proxies that are ours; what stands before their entries was written by others.
    """
    hops = [hop.strip() for value in forwarded for hop in value.split(",")]
    return hops[-proxies] if 0 < proxies <= len(hops) else peer


def end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that describe the message, without those of the connection."""
    return {name: value for name, value in headers.items() if name.lower() not in NOT_FORWARDED}


def problem(status: int, detail: str, **headers: str) -> web.Response:
    """Build the answer for an error, as problem details (RFC 9457)."""
    title = HTTPStatus(status).phrase
    return web.json_response(
        {"type": "about:blank", "title": title, "status": status, "detail": detail},
        status=status,
        content_type="application/problem+json",
        headers={"Cache-Control": "no-store", "Content-Security-Policy": API_POLICY} | headers,
    )


@web.middleware
async def convert_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Convert aiohttp's own errors to problem details (RFC 9457)."""
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge:
        return problem(413, f"a request to the API may hold {API_BODY_BYTES_MAX} bytes at most")
    except web.HTTPMethodNotAllowed as error:
        return problem(405, "the site can only be read", Allow=error.headers["Allow"])
    except web.HTTPException as error:
        return problem(error.status, error.reason)


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that every answer has."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


def main(port: int, api: str, site: Path, host: str = HOST, proxies: int = 0) -> None:
    """Serve until SIGINT or SIGTERM.

    Parameters
    ----------
    port : int
        Port to listen on.
    api : str
        Origin at which Chalice listens.
    site : Path
        Folder of the built site.
    host : str
        Address to listen on.
    proxies : int
        Number of proxies before this front whose entries in X-Forwarded-For are believed.
    """
    logging.basicConfig(level=logging.INFO)
    front = Front(site.resolve(), api, load(ApiSettings, "api"), proxies)
    web.run_app(
        front.application(),
        host=host,
        port=port,
        access_log=None,
        print=None,
        # Do not wait for the connections that polling pages keep open.
        shutdown_timeout=0.5,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--api", required=True)
    parser.add_argument("--site", type=Path, required=True)
    arguments = parser.parse_args()
    main(arguments.port, arguments.api, arguments.site, arguments.host)
