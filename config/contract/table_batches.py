"""Writes to a batch: its requests, its new jobs, and its command."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from config.contract.job import Batch, BatchCommand, Job
from config.contract.table_access import Lost, turns
from config.contract.table_reads import TableReads
from config.contract.writes import (
    Write,
    batch_is_open,
    counts,
    delete_job,
    delete_of,
    put_new,
    put_request,
    update_batch,
)


class TableBatches(TableReads):
    """Adds the writes to batches to the reads."""

    def begin_request(
        self,
        batch: Batch,
        request: str,
        fingerprint: str,
        opening: Write,
        on_lost: Callable[[], None],
    ) -> str | None:
        """Write a request into its batch, unless it is there, in one transaction with `opening`.

        Parameters
        ----------
        batch : Batch
            The batch that the request makes or adds to.
        request, fingerprint : str
            Id of the request, and hash of its body.
        opening : dict
            The write that makes the batch, or counts more jobs in it.
        on_lost : callable
            Called after a lost race; raises if the request can no longer succeed.

        Returns
        -------
        str or None
            None if the request is new; else the fingerprint that it came with before.
        """
        writes = [opening, put_request(self.name, batch, request, fingerprint)]
        for turn in turns():
            if turn:
                on_lost()
            try:
                self.access.transact(writes)
            except Lost:
                known = self.fingerprint(batch.batch, request)
                if known is not None:
                    return known
            else:
                return None
        raise self.access.busy()

    def put_jobs(self, rows: Sequence[Job], on_lost: Callable[[], None]) -> None:
        """Write new rows of an open batch and count them; rows that are there already are left.

        Parameters
        ----------
        rows : sequence of Job
            Rows of one batch that await their upload; at most 90, so that one transaction holds
            them with their counter rows and the check of the batch.
        on_lost : callable
            Called after a lost race; raises if the rows can no longer be written.
        """
        writes = [put_new(self.name, row.to_item()) for row in rows]
        writes += counts(self.name, rows)
        writes.append({"ConditionCheck": batch_is_open(self.name, rows[0].batch)})
        for turn in turns():
            if turn:
                if self.job(rows[0].batch, rows[0].job):
                    return
                on_lost()
            with suppress(Lost):
                self.access.transact(writes)
                return
        raise self.access.busy()

    def update_batch(
        self,
        batch: str,
        values: Mapping[str, Any],
        commands: Sequence[BatchCommand],
        commanded: int | None = None,
    ) -> None:
        """Set attributes of a batch's row, if it has one of `commands`, given at `commanded`.

        Raises
        ------
        Lost
            If the batch is gone, or its command is another.
        """
        self.access.update(update_batch(self.name, batch, values, commands, commanded))

    def delete_job(self, row: Job) -> bool:
        """Delete a job's row, and its message from its visitor's count; False if it was gone."""
        for turn in turns():
            if turn:
                found = self.job(row.batch, row.job)
                if found is None:
                    return False
                row = found
            with suppress(Lost):
                self.access.transact(delete_job(self.name, row))
                return True
        raise self.access.busy()

    def delete_row(self, batch: str, sk: str) -> bool:
        """Delete a row by its keys; False if it was gone already."""
        try:
            self.access.delete(delete_of(self.name, batch, sk))
        except Lost:
            return False
        return True
