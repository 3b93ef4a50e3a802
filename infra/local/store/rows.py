"""Tables of rows in a database file (SQLite): conditional writes and transactions.

Rows are kept as DynamoDB's JSON; keys and indexed attributes have columns of their own.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any

from infra.local.store import expressions, parser, updates
from infra.local.store.database import transaction
from infra.local.store.errors import Invalid, TableError
from infra.local.store.queries import scope_of
from infra.local.store.schema import Table, named, plain, quoted
from infra.local.store.values import Item, size_of

# DynamoDB's own limits.
ROW_BYTES_MAX = 400 * 1024
TRANSACTION_BYTES_MAX = 4 * 1024 * 1024
# A transaction that is sent again within this time is not done again.
TOKEN_SECONDS = 600

FAILED = "ConditionalCheckFailedException"
FAILED_SENTENCE = "The conditional request failed"

TABLES = """
CREATE TABLE IF NOT EXISTS tables (name TEXT PRIMARY KEY, schema TEXT);
CREATE TABLE IF NOT EXISTS tokens (token TEXT PRIMARY KEY, digest TEXT, done REAL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tokens_by_age ON tokens (done);
"""


class Rows:
    """The tables in one database file. For one thread.

    Parameters
    ----------
    database : sqlite3.Connection
        In autocommit mode.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database
        database.executescript(TABLES)
        self.tables = {
            name: Table(name, json.loads(schema))
            for name, schema in database.execute("SELECT name, schema FROM tables")
        }

    def create(self, schema: Mapping[str, Any]) -> Table:
        """Create a table and its indexes.

        Raises
        ------
        TableError
            If there is one of this name, or the types of its keys are missing.
        """
        table = Table(schema["TableName"], schema)
        if table.name in self.tables:
            raise TableError("ResourceInUseException", f"Table already exists: {table.name}")
        table.check()
        own = table.key.names
        with transaction(self.database):
            run = self.database.execute
            run(
                f"CREATE TABLE {table.sql} ({named(table.columns)}, item TEXT, "
                f"PRIMARY KEY ({named(own)})) WITHOUT ROWID"
            )
            for name, index in table.indexes.items():
                run(
                    f"CREATE INDEX {quoted(f'index {table.name} {name}')} ON {table.sql} "
                    f"({named(dict.fromkeys([*index.names, *own]))})"
                )
            run("INSERT INTO tables VALUES (?, ?)", (table.name, json.dumps(schema)))
        self.tables[table.name] = table
        return table

    def drop(self, name: str) -> Table:
        """Delete a table; return what it was."""
        table = self.table(name)
        with transaction(self.database):
            self.database.execute(f"DROP TABLE {table.sql}")
            self.database.execute("DELETE FROM tables WHERE name = ?", (name,))
        del self.tables[name]
        return table

    def table(self, name: str) -> Table:
        """Return a table by its name; raise TableError if there is none."""
        if name not in self.tables:
            raise TableError("ResourceNotFoundException", f"Requested resource not found: {name}")
        return self.tables[name]

    def get(self, table: Table, key: Item) -> Item | None:
        """Return a row by its key; None if there is none."""
        table.check_key(key)
        where, values = place(table, key)
        # Table and columns are quoted names; values are parameters.
        found = self.database.execute(
            f"SELECT item FROM {table.sql} WHERE {where}",  # noqa: S608
            values,
        ).fetchone()
        return json.loads(found[0]) if found else None

    def put(self, table: Table, item: Item, request: Mapping[str, Any]) -> Item | None:
        """Write a row if its condition holds; return the row before."""
        table.check_item(item)
        before = self.get(table, {name: item[name] for name in table.key.names})
        check(request, before)
        self.store(table, item)
        return before

    def update(
        self, table: Table, key: Item, request: Mapping[str, Any]
    ) -> tuple[Item | None, Item]:
        """Update a row if its condition holds; return the row before and after."""
        before = self.get(table, key)
        check(request, before)
        after = before or dict(key)
        if "UpdateExpression" in request:
            actions = parser.parse_update(request["UpdateExpression"])
            after = updates.updated(after, actions, scope_of(request), set(table.key.names))
        self.store(table, after)
        return before, after

    def delete(self, table: Table, key: Item, request: Mapping[str, Any]) -> Item | None:
        """Delete a row if its condition holds; return the row before."""
        before = self.get(table, key)
        check(request, before)
        where, values = place(table, key)
        self.database.execute(f"DELETE FROM {table.sql} WHERE {where}", values)  # noqa: S608
        return before

    def store(self, table: Table, item: Item) -> None:
        """Write a row; raise Invalid if it is too large, or an index does not take its key."""
        table.check_item(item)
        if size_of(item) > ROW_BYTES_MAX:
            raise Invalid("Item size has exceeded the maximum allowed size")
        marks = ", ".join("?" for _ in range(len(table.columns) + 1))
        columns = [plain(item[name]) if name in item else None for name in table.columns]
        self.database.execute(
            f"INSERT OR REPLACE INTO {table.sql} VALUES ({marks})",  # noqa: S608
            [*columns, json.dumps(item)],
        )

    def transact(self, writes: Sequence[Mapping[str, Any]], token: str | None = None) -> None:
        """Do all writes, or none.

        Parameters
        ----------
        writes : sequence of mapping
            Each with one of Put, Update, Delete and ConditionCheck.
        token : str, optional
            Of the client, which sends a transaction again under the same one.

        Raises
        ------
        TableError
            If a condition does not hold or a write is refused; with a reason for each write.
        """
        named_writes = [next(iter(each.items())) for each in writes]
        self.check_apart(named_writes)
        digest = hashlib.sha256(json.dumps(writes, sort_keys=True).encode()).hexdigest()
        with transaction(self.database):
            if token and self.is_done(token, digest):
                return
            reasons = [self.try_write(kind, write) for kind, write in named_writes]
            if any(each["Code"] != "None" for each in reasons):
                codes = ", ".join(each["Code"] for each in reasons)
                raise TableError(
                    "TransactionCanceledException",
                    "Transaction cancelled, please refer cancellation reasons for specific "
                    f"reasons [{codes}]",
                    CancellationReasons=reasons,
                )
            if token:
                values = (token, digest, time.time())
                self.database.execute("INSERT INTO tokens VALUES (?, ?, ?)", values)

    def check_apart(self, writes: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Raise TableError unless all writes of a transaction are of different rows."""
        seen: set[tuple[str, str]] = set()
        size = 0
        for kind, write in writes:
            table = self.table(write["TableName"])
            if kind == "Put":
                table.check_item(write["Item"])
                size += size_of(write["Item"])
            else:
                table.check_key(write["Key"])
            _, values = place(table, write["Item" if kind == "Put" else "Key"])
            if (found := (table.name, repr(values))) in seen:
                raise Invalid("Transaction request cannot include multiple operations on one item")
            seen.add(found)
        if size > TRANSACTION_BYTES_MAX:
            raise Invalid("Transaction size has exceeded the maximum allowed size of 4 MB")

    def is_done(self, token: str, digest: str) -> bool:
        """Return whether the transaction of this token was done; forget those of long ago."""
        self.database.execute("DELETE FROM tokens WHERE done < ?", (time.time() - TOKEN_SECONDS,))
        found = self.database.execute(
            "SELECT digest FROM tokens WHERE token = ?", (token,)
        ).fetchone()
        if found and found[0] != digest:
            raise TableError(
                "IdempotentParameterMismatchException",
                "The client request token was used for another transaction",
            )
        return found is not None

    def try_write(self, kind: str, write: Mapping[str, Any]) -> dict[str, Any]:
        """Do one write of a transaction; return the reason for which it cannot be done."""
        table = self.table(write["TableName"])
        try:
            match kind:
                case "Put":
                    self.put(table, write["Item"], write)
                case "Update":
                    self.update(table, write["Key"], write)
                case "Delete":
                    self.delete(table, write["Key"], write)
                case "ConditionCheck":
                    check(write, self.get(table, write["Key"]))
        except TableError as error:
            code = "ConditionalCheckFailed" if error.code == FAILED else "ValidationError"
            return {"Code": code, "Message": error.message} | error.more
        return {"Code": "None"}


def place(table: Table, key: Item) -> tuple[str, list[Any]]:
    """Return the condition in SQL that finds a row, and its parameters."""
    names = table.key.names
    return " AND ".join(f"{quoted(name)} = ?" for name in names), [plain(key[n]) for n in names]


def check(request: Mapping[str, Any], row: Item | None) -> None:
    """Raise TableError if a request has a condition that does not hold for a row."""
    text = request.get("ConditionExpression")
    if text is None or expressions.holds(
        parser.parse_condition(text), row or {}, scope_of(request)
    ):
        return
    wanted = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and row is not None
    raise TableError(FAILED, FAILED_SENTENCE, **({"Item": row} if wanted else {}))
