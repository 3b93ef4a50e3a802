"""The REST API: the function that serves each call, in a few lines.

Method, path, body and answers of a call are declared in `chalicelib.calls` under the function's
name; what the functions call is in `chalicelib`.
"""

import functools
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from chalice.app import Chalice, CloudWatchEvent, Request, Response
from chalicelib import backlog as backlogs
from chalicelib import (
    batch_view,
    batches,
    catalogue_parts,
    commands,
    contract,
    health,
    job_view,
    letters,
    log,
    lookup,
    previews,
    problems,
    reference_page,
    tracing,
    transitions,
    uploads,
)
from chalicelib import sweep as sweeping
from chalicelib.calls import CALLS
from chalicelib.problems import NO_STORE
from chalicelib.schemas import PAGE_DEFAULT, Limits
from chalicelib.services import services
from chalicelib.visitors import address_of

from config.contract import writing
from config.contract.visitor import visitor_of

log.set_up()
app = Chalice(app_name="dip-api", configure_logs=False)
app.register_middleware(tracing.follow(lambda: services().spans), "http")
app.register_middleware(problems.answer, "http")

# The limits that a page must know before it sends anything.
LIMITS = (
    "upload_bytes_max",
    "streamed_bytes_max",
    "batch_jobs_max",
    "request_jobs_max",
    "steps_max",
)


def serve(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make the route of the call that has the function's name.

    What the function returns is the answer's JSON, which no cache may store, under the call's
    status; a `Response` is answered as it is.
    """
    call = CALLS[function.__name__]

    @app.route(call.path, methods=[call.method], name=call.name)
    @functools.wraps(function)
    def answer(**ids: str) -> Response:
        with problems.silence_as_problem():
            found = function(**ids)
        if isinstance(found, Response):
            return found
        return Response(found, dict(NO_STORE), call.status)

    return function


def request() -> Request:
    """Return the request that is being answered."""
    assert app.current_request is not None  # noqa: S101 - for the type checker
    return app.current_request


def body(name: str) -> dict[str, Any]:
    """Read the body of a call, checked as the call declares it."""
    return services().bodies.check(CALLS[name].body, request().raw_body)


def key() -> str:
    """Read the idempotency key, or make one."""
    return batches.key_of(request().headers.get("idempotency-key"))


def visitor() -> str:
    """Return the visitor who sent the request."""
    key = services().origin_key()
    return visitor_of(address_of(request(), key), key)


def query(name: str, default: str) -> str:
    """Read a parameter of the query."""
    return str((request().query_params or {}).get(name, default))


def tagged(found: Any) -> Response:
    """Answer with JSON that changes with the app only, or with 304 if the client has it."""
    text = json.dumps(found, separators=(",", ":"))
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Type": "application/json"}
    if tag in request().headers.get("if-none-match", ""):
        return Response("", headers, 304)
    return Response(text, headers)


@serve
def list_operations() -> Response:
    """Answer with the catalogue or a part of it, how results can be written, and the limits."""
    limits = {name: getattr(services().settings, name) for name in LIMITS}
    part = catalogue_parts.part(services().catalogue, query("part", "whole"))
    return tagged({**part, "writing": writing.fields(), "limits": limits})


@serve
def get_contract() -> Response:
    """Answer with the OpenAPI document."""
    return tagged(contract.document(services().catalogue, Limits.of(services().settings)))


@serve
def read_reference() -> Response:
    """Answer with the contract as a page for people."""
    document = contract.document(services().catalogue, Limits.of(services().settings))
    headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache"}
    return Response(reference_page.page(document), headers)


@serve
def get_health() -> Response:
    """Ask broker, table and buckets."""
    return health.check(services())


@serve
def make_preview() -> dict[str, Any]:
    """Run steps on a small picture at once."""
    return previews.make(services(), body("make_preview"))


@serve
def create_batch() -> dict[str, Any]:
    """Make a batch."""
    idempotency_key = key()
    return batches.create(services(), body("create_batch"), idempotency_key, visitor())


@serve
def get_batch(batch: str) -> dict[str, Any]:
    """Show a batch and what changed in it."""
    limit = query("limit", str(PAGE_DEFAULT))
    return batch_view.show(services(), batch, query("since", ""), limit)


@serve
def delete_batch(batch: str) -> dict[str, Any]:
    """Delete a batch."""
    return commands.give(services(), batch, "delete")


@serve
def cancel_batch(batch: str) -> dict[str, Any]:
    """Cancel all unfinished jobs."""
    return commands.give(services(), batch, "cancel")


@serve
def retry_batch(batch: str) -> dict[str, Any]:
    """Retry all failed jobs."""
    return commands.give(services(), batch, "retry")


@serve
def add_jobs(batch: str) -> dict[str, Any]:
    """Add jobs to a batch."""
    idempotency_key = key()
    return batches.add(services(), batch, body("add_jobs"), idempotency_key)


@serve
def get_job(batch: str, job: str) -> dict[str, Any]:
    """Show a job."""
    return job_view.view(lookup.fetch(services(), batch, job))


@serve
def renew_upload(batch: str, job: str) -> dict[str, Any]:
    """Answer with a fresh upload form."""
    return {"upload": uploads.renew_form(services(), batch, job)}


@serve
def sign_parts(batch: str, job: str) -> dict[str, Any]:
    """Answer with addresses for parts of an upload."""
    return uploads.sign_parts(services(), batch, job, body("sign_parts")["parts"])


@serve
def list_parts(batch: str, job: str) -> dict[str, Any]:
    """List the parts that arrived."""
    return uploads.list_parts(services(), batch, job)


@serve
def complete_upload(batch: str, job: str) -> dict[str, Any]:
    """Check an upload and queue its job."""
    return job_view.view(uploads.complete_upload(services(), batch, job))


@serve
def retry_job(batch: str, job: str) -> dict[str, Any]:
    """Do a job again."""
    return job_view.view_with_form(services(), transitions.retry(services(), batch, job))


@serve
def cancel_job(batch: str, job: str) -> dict[str, Any]:
    """Cancel a job."""
    return job_view.view(transitions.cancel(services(), batch, job))


@app.schedule("rate(1 minute)")
def sweep(_event: CloudWatchEvent) -> dict[str, int]:
    """Repair what a crash, a lost message or a closed page left behind."""
    return sweeping.run(services())


@app.schedule("rate(1 minute)")
def backlog(_event: CloudWatchEvent) -> dict[str, int]:
    """Count waiting images and working nodes."""
    return backlogs.measure(services())


@app.lambda_function()
def dead_letters(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """List the dead letters; with ``send``, a list of job ids or ``all``, send them back."""
    send = event.get("send")
    if not send:
        return {"letters": letters.show(services())}
    return dict(letters.send_back(services(), None if send == "all" else send))


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    # Lambda gives a whole core while it imports the app, and a small share of one to a request.
    services()
