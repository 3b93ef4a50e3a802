"""The front: one origin for the built site, the API under /api and the results under /files.

Run as ``python -m infra.local.front --port PORT --api URL --site FOLDER``. On AWS this is
CloudFront. It logs no addresses, since they hold batch ids.
"""

import argparse
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import boto3
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web
from botocore.config import Config
from yarl import URL

from config.contract.settings import ApiSettings, load
from infra.headers import API_POLICY, FILE_POLICY, HEADERS, KEPT_FOR_EVER, site_policy
from infra.local.ports import HOST

# Largest request to the API; the largest that is meant, 100 images, has some 30 KB. API Gateway
# takes 10 MB.
API_BODY_BYTES_MAX = 1024 * 1024
# API Gateway's own limit, and room for a slow disk behind /files.
API_SECONDS = 29.0
FILE_SECONDS = 300.0
CHUNK_BYTES = 256 * 1024

# About one connection and not about what it carries (RFC 9110, 7.6.1); each side has its own.
NOT_PASSED = {
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
# What a browser may ask of a result, and what it may learn.
FILE_ASKS = ("Range", "If-Range", "If-None-Match", "If-Modified-Since")
FILE_TELLS = (
    "Content-Type",
    "Content-Length",
    "Content-Range",
    "Content-Disposition",
    "Accept-Ranges",
    "Cache-Control",
    "ETag",
    "Last-Modified",
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Front:
    """What the front serves.

    Parameters
    ----------
    site : Path
        The built site.
    api : str
        Where Chalice listens.
    settings : ApiSettings
        Where the results are.
    """

    def __init__(self, site: Path, api: str, settings: ApiSettings) -> None:
        self.site = site
        self.api = api
        self.bucket = settings.results_bucket
        self.policy = site_policy(settings.s3_public_endpoint)
        self.s3 = boto3.client(
            "s3",
            endpoint_url=settings.s3_endpoint,
            region_name=settings.aws_region,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def application(self) -> web.Application:
        """Build the server's routes."""
        application = web.Application(middlewares=[explain], client_max_size=API_BODY_BYTES_MAX)
        application.on_response_prepare.append(add_headers)
        application.cleanup_ctx.append(self._session)
        application.router.add_route("*", "/api/{path:.*}", self.pass_to_api)
        application.router.add_route("*", "/files/{path:.*}", self.pass_file)
        application.router.add_get("/", self.index)
        application.router.add_get("/{path:.+}", self.asset)
        return application

    async def _session(self, _: web.Application) -> Any:
        # Answers pass through as they are: not unpacked, no redirect followed.
        connector = TCPConnector(limit=0)
        async with ClientSession(connector=connector, auto_decompress=False) as self.session:
            yield

    async def index(self, _: web.Request) -> web.StreamResponse:
        """Serve the page, which names the hashed files and so must always be asked for."""
        return web.FileResponse(
            self.site / "index.html",
            headers={"Cache-Control": "no-cache", "Content-Security-Policy": self.policy},
        )

    async def asset(self, request: web.Request) -> web.StreamResponse:
        """Serve a file of the site."""
        path = (self.site / request.match_info["path"]).resolve()
        if not path.is_relative_to(self.site) or not path.is_file():
            return problem(404, "no such page")
        hashed = request.path.startswith("/assets/")
        return web.FileResponse(
            path,
            headers={
                "Cache-Control": KEPT_FOR_EVER if hashed else "no-cache",
                "Content-Security-Policy": self.policy,
            },
        )

    async def pass_to_api(self, request: web.Request) -> web.StreamResponse:
        """Pass a call to Chalice, which knows no /api, no HEAD and no chunked bodies."""
        body = await request.read()
        method = "GET" if request.method == "HEAD" else request.method
        target = URL(self.api + request.raw_path.removeprefix("/api"), encoded=True)
        headers = end_to_end(request.headers)
        headers.pop("Content-Length", None)  # that of `body` takes its place
        return await self._pass_on(
            request,
            self.session.request(
                method,
                target,
                data=body or None,
                headers=headers,
                # Else a call without a body is given a type, which the API refuses.
                skip_auto_headers=["Content-Type"],
                allow_redirects=False,
                timeout=ClientTimeout(total=API_SECONDS),
            ),
            lambda answer: end_to_end(answer) | {"Content-Security-Policy": API_POLICY},
            "the API does not answer; it is started again within seconds",
        )

    async def pass_file(self, request: web.Request) -> web.StreamResponse:
        """Pass a result on from the bucket."""
        if request.method not in ("GET", "HEAD"):
            return problem(405, "a result can only be read", Allow="GET, HEAD")
        target = self.s3.generate_presigned_url(
            "head_object" if request.method == "HEAD" else "get_object",
            Params={"Bucket": self.bucket, "Key": request.path.removeprefix("/")},
            ExpiresIn=60,
        )
        headers = {name: request.headers[name] for name in FILE_ASKS if name in request.headers}
        return await self._pass_on(
            request,
            self.session.request(
                request.method,
                URL(target, encoded=True),
                headers=headers | {"Accept-Encoding": "identity"},
                allow_redirects=False,
                timeout=ClientTimeout(total=None, sock_connect=5, sock_read=FILE_SECONDS),
            ),
            lambda answer: (
                {name: answer[name] for name in FILE_TELLS if name in answer}
                | {"Content-Security-Policy": FILE_POLICY}
            ),
            "the results do not answer; they are back within seconds",
            missing=(403, 404),
        )

    async def _pass_on(
        self,
        request: web.Request,
        asking: Any,
        headers_of: Callable[[Mapping[str, str]], dict[str, str]],
        when_down: str,
        missing: tuple[int, ...] = (),
    ) -> web.StreamResponse:
        """Stream an answer through; a problem when there is none."""
        try:
            answer = await asking
        except TimeoutError:
            return problem(504, "no answer in time; try again")
        except ClientError:
            return problem(503, when_down, **{"Retry-After": "2"})
        async with answer:
            if answer.status in missing:
                return problem(404, "no such file; it may have expired")
            response = web.StreamResponse(status=answer.status, headers=headers_of(answer.headers))
            # The browser may be gone by now, which is nobody's fault.
            with contextlib.suppress(ConnectionResetError):
                await response.prepare(request)
                if request.method != "HEAD":
                    async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                        await response.write(chunk)
                await response.write_eof()
            return response


def end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    """Copy the headers that are about what is carried."""
    return {name: value for name, value in headers.items() if name.lower() not in NOT_PASSED}


def problem(status: int, detail: str, **headers: str) -> web.Response:
    """Build an error as RFC 9457 has it."""
    title = HTTPStatus(status).phrase
    return web.json_response(
        {"type": "about:blank", "title": title, "status": status, "detail": detail},
        status=status,
        content_type="application/problem+json",
        headers={"Cache-Control": "no-store", "Content-Security-Policy": API_POLICY} | headers,
    )


@web.middleware
async def explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell aiohttp's own errors as problems."""
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge:
        return problem(413, f"a request to the API may hold {API_BODY_BYTES_MAX} bytes at most")
    except web.HTTPMethodNotAllowed as error:
        return problem(405, "the site can only be read", Allow=error.headers["Allow"])
    except web.HTTPException as error:
        return problem(error.status, error.reason)


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Add what every answer carries."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


def main(port: int, api: str, site: Path, host: str = HOST) -> None:
    """Serve until told to end."""
    logging.basicConfig(level=logging.INFO)
    front = Front(site.resolve(), api, load(ApiSettings, "api"))
    web.run_app(
        front.application(),
        host=host,
        port=port,
        access_log=None,
        print=None,
        # A page that polls keeps its connection: it is not waited for.
        shutdown_timeout=0.5,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--api", required=True)
    parser.add_argument("--site", type=Path, required=True)
    arguments = parser.parse_args()
    main(arguments.port, arguments.api, arguments.site)
