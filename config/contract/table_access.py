"""Requests to the table.

A write that meets another transaction is sent again. A write whose condition does not hold raises
`Lost`. The boto3 client is a parameter, since this room imports only the standard library; its
errors are recognized by their attribute `response`.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Key = tuple[str, str]

# DynamoDB's codes for a condition that does not hold.
CONDITIONS = {"ConditionalCheckFailed", "ConditionalCheckFailedException"}
# DynamoDB's codes for another transaction on one of the rows, or for too many requests at once. The
# same write may succeed later.
CONFLICTS = {
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
}
# A cancelled transaction has the code "None" for each of its writes that could have been done.
NEUTRAL = {"None", "TransactionCanceledException"}

# Tries of a write after lost races. A row has few writers: its worker, its visitor and the sweep.
TURNS_MAX = 8
TURN_SECONDS = 0.005

# Keys that BatchGetItem takes at once.
KEYS_PER_READ = 100
# Keys that DynamoDB had no capacity for are asked for again after a pause, which doubles each time.
READS_MAX = 4
READ_SECONDS = 0.05


class Lost(Exception):
    """Another writer changed or deleted the row since it was read: read it again."""


class Busy(Lost):
    """The write was repeated as often as allowed, and other writers were first each time."""


@dataclass(frozen=True)
class Patience:
    """How often a write is tried that meets another transaction, and the pauses between."""

    tries: int = 4
    seconds: float = 0.02
    seconds_max: float = 1.0

    def pause(self, tried: int) -> None:
        """Wait after a conflict; `tried` counts the earlier ones."""
        seconds = min(self.seconds * 2**tried, self.seconds_max)
        time.sleep(seconds * random.uniform(0.5, 1))  # noqa: S311 - spreads writers, hides nothing


# For the API, whose clients wait. A worker is given more.
HASTY = Patience()


def unchanged(error: Exception) -> Exception:
    """Return an error as it is."""
    return error


@dataclass(frozen=True)
class TableAccess:
    """The table by its name, through `boto3.resource("dynamodb").meta.client`.

    Safe to use from many threads. `translate` turns an error of the client, or `Busy`, into the
    exception to raise instead; it may return the error itself.
    """

    client: Any
    name: str
    patience: Patience = HASTY
    translate: Callable[[Exception], Exception] = unchanged

    def get(self, pk: str, sk: str) -> Mapping[str, Any] | None:
        """Read one row as it stands now; None if there is none."""
        answer = self._read(
            lambda: self.client.get_item(
                TableName=self.name, Key={"pk": pk, "sk": sk}, ConsistentRead=True
            )
        )
        item: Mapping[str, Any] | None = answer.get("Item")
        return item

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Mapping[str, Any]]:
        """Read rows by (pk, sk), a hundred at a time; rows that are not there are left out.

        Rows that DynamoDB repeatedly has no capacity for are read one by one, since botocore
        retries single reads by itself.
        """
        found: dict[Key, Mapping[str, Any]] = {}
        left = list(dict.fromkeys(keys))
        refusals = 0
        while left and refusals < READS_MAX:
            asked, left = left[:KEYS_PER_READ], left[KEYS_PER_READ:]
            items, refused = self._get_together(asked)
            found |= items
            left += refused
            if refused:
                time.sleep(READ_SECONDS * 2**refusals)
                refusals += 1
        for key in left:
            item = self.get(*key)
            if item is not None:
                found[key] = item
        return found

    def query(self, **arguments: Any) -> Mapping[str, Any]:
        """Read neighbouring rows, of the table or of an index."""
        answer: Mapping[str, Any] = self._read(
            lambda: self.client.query(TableName=self.name, **arguments)
        )
        return answer

    def put(self, item: Mapping[str, Any]) -> None:
        """Write a row, whether it is there or not."""
        self._write(lambda: self.client.put_item(TableName=self.name, Item=item))

    def update(self, update: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do one update; returns the attributes that it asks for.

        Raises
        ------
        Lost
            If its condition does not hold.
        """
        answer = self._write(lambda: self.client.update_item(**update))
        attributes: Mapping[str, Any] = answer.get("Attributes", {})
        return attributes

    def delete(self, delete: Mapping[str, Any]) -> None:
        """Delete one row; raises as `update`."""
        self._write(lambda: self.client.delete_item(**delete))

    def transact(self, writes: Sequence[Mapping[str, Any]]) -> None:
        """Do all writes or none; raises as `update`."""
        self._write(lambda: self.client.transact_write_items(TransactItems=writes))

    def busy(self) -> Exception:
        """Make the exception for a write that is given up."""
        return self.translate(Busy("other writers were always first"))

    def _get_together(self, keys: Sequence[Key]) -> tuple[dict[Key, Mapping[str, Any]], list[Key]]:
        """Read up to a hundred rows; returns them, and the keys there was no capacity for."""
        asked = [{"pk": pk, "sk": sk} for pk, sk in keys]
        answer = self._read(
            lambda: self.client.batch_get_item(
                RequestItems={self.name: {"Keys": asked, "ConsistentRead": True}}
            )
        )
        items = {(item["pk"], item["sk"]): item for item in answer["Responses"].get(self.name, ())}
        refused = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", ())
        return items, [(key["pk"], key["sk"]) for key in refused]

    def _read(self, request: Callable[[], Any]) -> Any:
        with self._translated():
            return request()

    def _write(self, request: Callable[[], Any]) -> Any:
        """Send a write; repeat it while other transactions are on its rows."""
        for tried in range(self.patience.tries):
            with self._translated():
                try:
                    return request()
                except Exception as error:
                    codes = codes_of(error)
                    if codes & CONDITIONS:
                        raise Lost from error
                    if not codes & CONFLICTS or codes - CONFLICTS - NEUTRAL:
                        raise
            self.patience.pause(tried)
        raise self.busy()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise the caller's own exceptions instead of the client's."""
        try:
            yield
        except Lost:
            raise
        except Exception as error:
            translated = self.translate(error)
            if translated is error:
                raise
            raise translated from error


def codes_of(error: Exception) -> set[str]:
    """List DynamoDB's codes of an error; a transaction has one for each of its writes."""
    response = getattr(error, "response", None)
    if not isinstance(response, Mapping):
        return set()
    reasons = response.get("CancellationReasons") or ()
    return {
        str(response.get("Error", {}).get("Code", "")),
        *(str(each.get("Code", "None")) for each in reasons),
    }


def turns() -> Iterator[int]:
    """Count tries; pause before each but the first, a little longer each time."""
    for turn in range(TURNS_MAX):
        if turn:
            time.sleep(random.uniform(0, TURN_SECONDS * 2**turn))  # noqa: S311 - spreads writers
        yield turn
