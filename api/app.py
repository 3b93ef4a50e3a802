"""The REST API: every call of it, a few lines each. What they do is in `chalicelib`."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from chalice.app import Chalice, CloudWatchEvent, Request, Response
from chalicelib import backlog as backlogs
from chalicelib import (
    batch_view,
    batches,
    commands,
    contract,
    health,
    job_view,
    letters,
    log,
    lookup,
    previews,
    problems,
    transitions,
    uploads,
)
from chalicelib import sweep as sweeping
from chalicelib.problems import NO_STORE
from chalicelib.schemas import Limits
from chalicelib.services import services

log.set_up()
app = Chalice(app_name="dip-api", configure_logs=False)
app.register_middleware(problems.answer, "http")

BATCH = "/batches/{batch}"
JOB = "/batches/{batch}/jobs/{job}"


# What a page must know before it sends anything.
LIMITS = ("upload_bytes_max", "batch_jobs_max", "request_jobs_max", "steps_max")


def request() -> Request:
    """Return the request that is being answered."""
    assert app.current_request is not None  # noqa: S101 - for the type checker
    return app.current_request


def query(name: str, default: str) -> str:
    """Read a parameter of the query."""
    return str((request().query_params or {}).get(name, default))


def answer(body: Any, status: int = 200) -> Response:
    """Answer with JSON that nobody keeps."""
    return Response(body, dict(NO_STORE), status)


def tagged(body: Any) -> Response:
    """Answer with JSON that changes with the app only, or say that it has not changed."""
    text = json.dumps(body, separators=(",", ":"))
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Type": "application/json"}
    if tag in request().headers.get("if-none-match", ""):
        return Response("", headers, 304)
    return Response(text, headers)


@app.route("/operations")
def list_operations() -> Response:
    """Answer with the catalogue."""
    limits = {name: getattr(services().settings, name) for name in LIMITS}
    return tagged({**services().catalogue, "limits": limits})


@app.route("/openapi.json")
def get_contract() -> Response:
    """Answer with the contract."""
    return tagged(contract.document(services().catalogue, Limits.of(services().settings)))


@app.route("/health")
def get_health() -> Response:
    """Say whether the parts answer."""
    return health.check(services())


@app.route("/previews", methods=["POST"])
def make_preview() -> Response:
    """Run steps on a small picture at once."""
    return answer(previews.make(services(), request().raw_body))


@app.route("/batches", methods=["POST"])
def create_batch() -> Response:
    """Make a batch."""
    key = batches.key_of(request().headers.get("idempotency-key"))
    return answer(batches.create(services(), request().raw_body, key), 201)


@app.route(BATCH)
def get_batch(batch: str) -> Response:
    """Show a batch and what changed in it."""
    limit = query("limit", str(batch_view.PAGE_DEFAULT))
    return answer(batch_view.show(services(), batch, query("since", ""), limit))


@app.route(BATCH, methods=["DELETE"])
def delete_batch(batch: str) -> Response:
    """Delete a batch."""
    return answer(commands.give(services(), batch, "delete"), 202)


@app.route(BATCH + "/cancel", methods=["POST"])
def cancel_batch(batch: str) -> Response:
    """Cancel all jobs."""
    return answer(commands.give(services(), batch, "cancel"), 202)


@app.route(BATCH + "/retry", methods=["POST"])
def retry_batch(batch: str) -> Response:
    """Retry all failed jobs."""
    return answer(commands.give(services(), batch, "retry"), 202)


@app.route(BATCH + "/jobs", methods=["POST"])
def add_jobs(batch: str) -> Response:
    """Add jobs to a batch."""
    key = batches.key_of(request().headers.get("idempotency-key"))
    return answer(batches.add(services(), batch, request().raw_body, key), 201)


@app.route(JOB)
def get_job(batch: str, job: str) -> Response:
    """Show a job."""
    return answer(job_view.view(lookup.fetch(services(), batch, job)))


@app.route(JOB + "/upload", methods=["POST"])
def renew_upload(batch: str, job: str) -> Response:
    """Answer with a fresh upload form."""
    return answer({"upload": uploads.renew_form(services(), batch, job)})


@app.route(JOB + "/parts", methods=["POST"])
def sign_parts(batch: str, job: str) -> Response:
    """Answer with addresses for parts of an upload."""
    return answer(uploads.sign_parts(services(), batch, job, request().raw_body))


@app.route(JOB + "/parts")
def list_parts(batch: str, job: str) -> Response:
    """List the parts that arrived."""
    return answer(uploads.list_parts(services(), batch, job))


@app.route(JOB + "/uploaded", methods=["POST"])
def complete_upload(batch: str, job: str) -> Response:
    """Check an upload and queue its job."""
    return answer(job_view.view(uploads.complete_upload(services(), batch, job)), 202)


@app.route(JOB + "/retry", methods=["POST"])
def retry_job(batch: str, job: str) -> Response:
    """Do a job again."""
    return answer(
        job_view.view_with_form(services(), transitions.retry(services(), batch, job)), 202
    )


@app.route(JOB + "/cancel", methods=["POST"])
def cancel_job(batch: str, job: str) -> Response:
    """Cancel a job."""
    return answer(job_view.view(transitions.cancel(services(), batch, job)), 202)


@app.schedule("rate(1 minute)")
def sweep(_event: CloudWatchEvent) -> dict[str, int]:
    """Put right what was left behind."""
    return sweeping.run(services())


@app.schedule("rate(1 minute)")
def backlog(_event: CloudWatchEvent) -> dict[str, int]:
    """Count what waits and who works."""
    return backlogs.measure(services())


@app.lambda_function()
def dead_letters(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """List the dead letters; with ``send``, a list of job ids or ``all``, send them back."""
    send = event.get("send")
    if not send:
        return {"letters": letters.show(services())}
    return dict(letters.send_back(services(), None if send == "all" else send))
