"""Other images that the steps of a batch read: files that were sent before, for other jobs."""

from collections.abc import Mapping
from typing import Any

from chalicelib import lookup
from chalicelib.problems import Problem
from chalicelib.services import Services
from config.contract.job import Batch, InputFile
from config.contract.references import INPUT
from config.contract.settings import MIB


def find(services: Services, given: Mapping[str, Mapping[str, str]]) -> tuple[InputFile, ...]:
    """Find the files of the inputs of a request.

    Parameters
    ----------
    services : Services
        What the API works with.
    given : mapping
        For each name the ids of a batch and of a job in it.

    Raises
    ------
    Problem
        422 if a job is not there any more, or has no file that was accepted, or if the files
        together are larger than one upload may be.
    """
    found = tuple(find_one(services, name, **ids) for name, ids in given.items())
    total, most = sum(each.bytes for each in found), services.settings.upload_bytes_max
    if total > most:
        # A worker holds all of them in memory, beside those of other visitors' jobs.
        detail = (
            f"inputs: have {total / MIB:.1f} MiB together; at most {most / MIB:.5g} MiB are "
            "accepted, so send smaller images"
        )
        raise Problem(422, detail, "/inputs")
    return found


def find_one(services: Services, name: str, batch: str, job: str) -> InputFile:
    """Find the file of one input; raises as `find`."""
    where = f"inputs.{name}"
    try:
        row = lookup.fetch(services, batch, job)
    except Problem as error:
        detail = f"{where}: the file of this job is not kept, or never was; send it again"
        raise Problem(422, detail, f"/inputs/{name}") from error
    if not row.etag:
        detail = (
            f"{where}: no file of {row.name} was accepted; send one and say that it is uploaded"
        )
        raise Problem(422, detail, f"/inputs/{name}")
    return InputFile(INPUT + name, batch, job, row.etag, row.name, row.bytes)


def view(batch: Batch) -> dict[str, Any]:
    """Build the answer's `inputs`; they do not tell the batches that the files were sent for."""
    return {
        each.name.removeprefix(INPUT): {"name": each.file, "bytes": each.bytes}
        for each in batch.inputs
    }
