"""The OpenAPI 3.1 document, built from the schemas that requests are checked against.

``python -m chalicelib.contract``, with the top folder and `api/` on the path, writes
`config/contract/openapi.json`.
"""

import json
from collections.abc import Mapping
from typing import Any

from chalicelib.schemas import BATCH_ID, JOB_ID, Limits, Schema, components, reference
from config.contract.settings import TOP

FILE = TOP / "config" / "contract" / "openapi.json"

BATCH = {"name": "batch", "in": "path", "required": True, "schema": BATCH_ID}
JOB = {"name": "job", "in": "path", "required": True, "schema": JOB_ID}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "128 random bits. The same request sent again with it finds what the first "
    "one made; another body with it is a conflict.",
    "schema": BATCH_ID,
}
SINCE = {
    "name": "since",
    "in": "query",
    "description": "The `cursor` of the answer before; without it, all jobs are listed. A job may "
    "be listed again though it did not change.",
    "schema": {"type": "string"},
}
LIMIT = {
    "name": "limit",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": 500, "default": 100},
}


def document(catalogue: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """Build the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Distributed Image Processing App",
            "version": "1",
            "description": "Chains of scikit-image operations on many or huge images. A batch id "
            "is the capability to its images: keep it out of logs and links.",
        },
        "servers": [{"url": "/api"}],
        "paths": {**general(), **batches(), **jobs()},
        "components": {
            "schemas": components(catalogue, limits),
            "responses": {
                "Problem": {
                    "description": "What went wrong, in one sentence.",
                    "content": {"application/problem+json": {"schema": reference("Problem")}},
                }
            },
        },
    }


def general() -> dict[str, Any]:
    """Build the paths that belong to no batch."""
    return {
        "/operations": {
            "get": call(
                "listOperations",
                "The catalogue of operations",
                {200: "Catalogue", 304: ""},
            )
        },
        "/health": {
            "get": call("getHealth", "Whether broker, table and bucket answer", {200: "Health"})
        },
        "/previews": {
            "post": call(
                "makePreview",
                "Steps on a small picture, answered at once; nothing is stored",
                {200: "Preview"},
                body="NewPreview",
            )
        },
        "/openapi.json": {"get": call("getContract", "This document", {200: {"type": "object"}})},
    }


def batches() -> dict[str, Any]:
    """Build the paths of batches."""
    return {
        "/batches": {
            "post": call(
                "createBatch",
                "Steps, output format and images; the answer says how to upload each",
                {201: "BatchCreated"},
                (KEY,),
                "NewBatch",
            )
        },
        "/batches/{batch}": {
            "get": call(
                "getBatch",
                "Counts by state, and the jobs that changed",
                {200: "Batch"},
                (BATCH, SINCE, LIMIT),
            ),
            "delete": call(
                "deleteBatch", "Delete the batch with its images", {202: "BatchOrder"}, (BATCH,)
            ),
        },
        "/batches/{batch}/jobs": {
            "post": call(
                "addJobs", "More images for the batch", {201: "Jobs"}, (BATCH, KEY), "MoreImages"
            )
        },
        "/batches/{batch}/retry": {
            "post": call("retryBatch", "Retry all failed jobs", {202: "BatchOrder"}, (BATCH,))
        },
        "/batches/{batch}/cancel": {
            "post": call("cancelBatch", "Cancel all jobs", {202: "BatchOrder"}, (BATCH,))
        },
    }


def jobs() -> dict[str, Any]:
    """Build the paths of single jobs."""
    at = "/batches/{batch}/jobs/{job}"
    both = (BATCH, JOB)
    return {
        at: {"get": call("getJob", "One job", {200: "Job"}, both)},
        f"{at}/upload": {"post": call("renewUpload", "A fresh upload form", {200: "Upload"}, both)},
        f"{at}/parts": {
            "post": call(
                "signParts",
                "Addresses for parts of a large file, instead of the form",
                {200: "SignedParts"},
                both,
                "PartNumbers",
            ),
            "get": call(
                "listParts",
                "The parts that have arrived, to go on with",
                {200: "ArrivedParts"},
                both,
            ),
        },
        f"{at}/uploaded": {
            "post": call(
                "completeUpload",
                "Say that the file was sent: it is checked and the job queued",
                {202: "Job"},
                both,
            )
        },
        f"{at}/retry": {"post": call("retryJob", "Do the job again", {202: "Job"}, both)},
        f"{at}/cancel": {"post": call("cancelJob", "Stop the job", {202: "Job"}, both)},
    }


def call(
    name: str,
    summary: str,
    answers: Mapping[int, str | Schema],
    parameters: tuple[Schema, ...] = (),
    body: str = "",
) -> dict[str, Any]:
    """Build one operation; an answer is a component's name, a schema, or "" if it has no body."""
    made: dict[str, Any] = {"operationId": name, "summary": summary}
    if parameters:
        made["parameters"] = list(parameters)
    if body:
        made["requestBody"] = {"required": True, "content": as_json(body)}
    made["responses"] = {
        str(status): {"description": summary if answer else "Unchanged"}
        | ({"content": as_json(answer)} if answer else {})
        for status, answer in answers.items()
    } | {"default": {"$ref": "#/components/responses/Problem"}}
    return made


def as_json(schema: str | Schema) -> dict[str, Any]:
    """Wrap a schema as the content of a JSON body."""
    found = reference(schema) if isinstance(schema, str) else schema
    return {"application/json": {"schema": found}}


def export() -> None:
    """Write the document with the default limits."""
    catalogue = json.loads((TOP / "config" / "contract" / "catalogue.json").read_text())
    FILE.write_text(json.dumps(document(catalogue, Limits()), indent=1) + "\n")


if __name__ == "__main__":
    export()
