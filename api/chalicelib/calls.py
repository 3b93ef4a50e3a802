"""Every call of the API, declared once: its method, path, parameters, body and answers.

From here `app` makes the routes, `bodies` the validators, and `contract` the paths of the OpenAPI
document. A call has the name of the function in `app` that serves it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.catalogue_parts import PARTS
from chalicelib.schema_parts import BATCH_ID, JOB_ID, Schema
from chalicelib.schemas import PAGE_DEFAULT, PAGE_MAX

# Parameters in the path, by the name that stands in it between braces.
IN_PATH: Mapping[str, Schema] = {
    "batch": {"name": "batch", "in": "path", "required": True, "schema": BATCH_ID},
    "job": {"name": "job", "in": "path", "required": True, "schema": JOB_ID},
}
KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "128 random bits, in hexadecimal digits. A request that is sent again with the "
    "same key makes nothing new; another body with the same key is answered 409.",
    "schema": BATCH_ID,
}
SINCE: Schema = {
    "name": "since",
    "in": "query",
    "description": "The `cursor` of the answer before; without it, all jobs are listed. A job may "
    "be listed again though it did not change.",
    "schema": {"type": "string"},
}
LIMIT: Schema = {
    "name": "limit",
    "in": "query",
    "schema": {
        "type": "integer",
        "minimum": 1,
        "maximum": PAGE_MAX,
        "default": PAGE_DEFAULT,
    },
}
PART: Schema = {
    "name": "part",
    "in": "query",
    "description": "`forms` is the catalogue without its sentences for people, `texts` has these "
    "alone; laid on each other they are the whole.",
    "schema": {"type": "string", "enum": list(PARTS), "default": "whole"},
}


@dataclass(frozen=True)
class Call:
    """One call of the API.

    Attributes
    ----------
    name : str
        Name of the function in `app` that serves it.
    method, path : str
        The route.
    summary : str
        What it does, for the document.
    answers : mapping
        By status: the name of a component, a schema, or "" for an answer without a body. The first
        is the answer of a request that did what it asked for.
    parameters : tuple of dict
        Parameters in the header and the query.
    body : str
        Name of the component that the body must fit, or "".
    media_type : str
        Of its answers.
    """

    name: str
    method: str
    path: str
    summary: str
    answers: Mapping[int, str | Schema]
    parameters: tuple[Schema, ...] = ()
    body: str = ""
    media_type: str = "application/json"

    @property
    def operation_id(self) -> str:
        """The name in the document, as in ``createBatch``."""
        first, *rest = self.name.split("_")
        return first + "".join(each.title() for each in rest)

    @property
    def status(self) -> int:
        """Status of a request that did what it asked for."""
        return next(iter(self.answers))

    @property
    def all_parameters(self) -> list[Schema]:
        """The parameters in the path, then the others."""
        return [*(IN_PATH[name] for name in re.findall(r"{(\w+)}", self.path)), *self.parameters]


BATCH = "/batches/{batch}"
JOB = "/batches/{batch}/jobs/{job}"

CALLS: Mapping[str, Call] = {
    each.name: each
    for each in (
        Call(
            "list_operations",
            "GET",
            "/operations",
            "The catalogue of operations",
            {200: "Catalogue", 304: ""},
            (PART,),
        ),
        Call(
            "get_health",
            "GET",
            "/health",
            "Whether broker, table and bucket answer",
            {200: "Health"},
        ),
        Call(
            "make_preview",
            "POST",
            "/previews",
            "Steps on a small picture, answered at once; nothing is stored",
            {200: "Preview"},
            body="NewPreview",
        ),
        Call(
            "read_reference",
            "GET",
            "/",
            "This document as a page for people",
            {200: {"type": "string"}},
            media_type="text/html",
        ),
        Call("get_contract", "GET", "/openapi.json", "This document", {200: {"type": "object"}}),
        Call(
            "create_batch",
            "POST",
            "/batches",
            "Steps, output format and images; the answer says how to upload each",
            {201: "BatchCreated"},
            (KEY,),
            "NewBatch",
        ),
        Call(
            "get_batch",
            "GET",
            BATCH,
            "Counts by state, and the jobs that changed",
            {200: "Batch"},
            (SINCE, LIMIT),
        ),
        Call(
            "delete_batch",
            "DELETE",
            BATCH,
            "Delete the batch with its images",
            {202: "BatchOrder"},
        ),
        Call(
            "add_jobs",
            "POST",
            f"{BATCH}/jobs",
            "More images for the batch",
            {201: "Jobs"},
            (KEY,),
            "MoreImages",
        ),
        Call("retry_batch", "POST", f"{BATCH}/retry", "Retry all failed jobs", {202: "BatchOrder"}),
        Call("cancel_batch", "POST", f"{BATCH}/cancel", "Cancel all jobs", {202: "BatchOrder"}),
        Call("get_job", "GET", JOB, "One job", {200: "Job"}),
        Call("renew_upload", "POST", f"{JOB}/upload", "A fresh upload form", {200: "Upload"}),
        Call(
            "sign_parts",
            "POST",
            f"{JOB}/parts",
            "Addresses for parts of a large file, instead of the form",
            {200: "SignedParts"},
            body="PartNumbers",
        ),
        Call(
            "list_parts",
            "GET",
            f"{JOB}/parts",
            "The parts that have arrived, to go on with",
            {200: "ArrivedParts"},
        ),
        Call(
            "complete_upload",
            "POST",
            f"{JOB}/uploaded",
            "Say that the file was sent: it is checked and the job queued; call again while it is "
            "joining",
            {202: "Job"},
        ),
        Call("retry_job", "POST", f"{JOB}/retry", "Do the job again", {202: "Job"}),
        Call("cancel_job", "POST", f"{JOB}/cancel", "Stop the job", {202: "Job"}),
    )
}
