"""Tables of rows in a database file (SQLite): conditional writes, transactions and queries.

Rows are kept as DynamoDB's JSON; keys and indexed attributes have columns of their own.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from infra.local.store import expressions, updates
from infra.local.store.expressions import ExpressionError, Item, Node, Scope, Value

# DynamoDB's own limits.
ROW_BYTES_MAX = 400 * 1024
PAGE_BYTES_MAX = 1024 * 1024
TRANSACTION_ITEMS_MAX = 100

FAILED = "ConditionalCheckFailedException"
FAILED_SENTENCE = "The conditional request failed"
# Signs of a condition on a sort key, in SQL.
SIGNS = {"=", "<", "<=", ">", ">="}

Key = tuple[Any, Any]


class TableError(Exception):
    """A request that is refused: DynamoDB's code and sentence, and more fields of its answer."""

    def __init__(self, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.more = code, message, more


@dataclass(frozen=True)
class Index:
    """An index: the attributes of its key, and whether it gives keys only."""

    hash: str
    range: str
    keys_only: bool = False


@dataclass(frozen=True)
class Table:
    """A table as it was created.

    Attributes
    ----------
    name : str
        Its name.
    schema : mapping
        What CreateTable was called with.
    """

    name: str
    schema: Mapping[str, Any] = field(hash=False)

    @cached_property
    def key(self) -> Index:
        """The attributes of the table's own key."""
        return index_of(self.schema)

    @cached_property
    def indexes(self) -> dict[str, Index]:
        """The indexes by name."""
        return {
            each["IndexName"]: index_of(each)
            for each in self.schema.get("GlobalSecondaryIndexes", ())
        }

    @cached_property
    def columns(self) -> list[str]:
        """The attributes that have a column: those of the keys, first the table's own."""
        own = [self.key.hash, self.key.range]
        named = [name for each in self.indexes.values() for name in (each.hash, each.range)]
        return [name for name in dict.fromkeys([*own, *named]) if name]

    @cached_property
    def sql(self) -> str:
        """The table's name in SQL."""
        return quoted(f"table {self.name}")


def index_of(schema: Mapping[str, Any]) -> Index:
    """Read the attributes of a key from DynamoDB's form."""
    names = {each["KeyType"]: each["AttributeName"] for each in schema["KeySchema"]}
    only = schema.get("Projection", {}).get("ProjectionType") == "KEYS_ONLY"
    return Index(names["HASH"], names.get("RANGE", ""), only)


def quoted(name: str) -> str:
    """Return a name as SQL's identifier."""
    return '"' + name.replace('"', '""') + '"'


def plain(value: Value | None) -> Any:
    """Return the value of a key as SQL compares it; None if it is missing or no key can hold it."""
    match value:
        case {"S": text}:
            return text
        case {"N": digits}:
            found = Decimal(digits)
            return int(found) if found == found.to_integral_value() else float(found)
        case {"B": text}:
            return text
    return None


def size_of(value: Any) -> int:
    """Compute about how many bytes DynamoDB counts for a value or an item."""
    if isinstance(value, dict):
        return sum(len(name.encode()) + size_of(inner) for name, inner in value.items())
    if isinstance(value, list):
        return sum(map(size_of, value))
    return len(str(value).encode())


class Rows:
    """The tables in one database file. For one thread.

    Parameters
    ----------
    database : sqlite3.Connection
        In autocommit mode.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database
        database.execute("CREATE TABLE IF NOT EXISTS tables (name TEXT PRIMARY KEY, schema TEXT)")
        self.tables = {
            name: Table(name, json.loads(schema))
            for name, schema in database.execute("SELECT name, schema FROM tables")
        }

    def create(self, schema: Mapping[str, Any]) -> Table:
        """Create a table and its indexes.

        Raises
        ------
        TableError
            If there is one of this name.
        """
        table = Table(schema["TableName"], schema)
        if table.name in self.tables:
            raise TableError("ResourceInUseException", f"Table already exists: {table.name}")
        columns = [quoted(name) for name in table.columns]
        own = columns[: 2 if table.key.range else 1]
        with self.transaction():
            run = self.database.execute
            run(
                f"CREATE TABLE {table.sql} ({', '.join(columns)}, item TEXT, "
                f"PRIMARY KEY ({', '.join(own)})) WITHOUT ROWID"
            )
            for name, index in table.indexes.items():
                parts = [quoted(each) for each in (index.hash, index.range) if each]
                run(
                    f"CREATE INDEX {quoted(f'index {table.name} {name}')} ON {table.sql} "
                    f"({', '.join([*parts, *own])})"
                )
            run("INSERT INTO tables VALUES (?, ?)", (table.name, json.dumps(schema)))
        self.tables[table.name] = table
        return table

    def drop(self, name: str) -> Table:
        """Delete a table; return what it was."""
        table = self.table(name)
        with self.transaction():
            self.database.execute(f"DROP TABLE {table.sql}")
            self.database.execute("DELETE FROM tables WHERE name = ?", (name,))
        del self.tables[name]
        return table

    def table(self, name: str) -> Table:
        """Return a table by its name; raise TableError if there is none."""
        if name not in self.tables:
            raise TableError("ResourceNotFoundException", f"Requested resource not found: {name}")
        return self.tables[name]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all writes inside, or none if an exception leaves the block."""
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    def get(self, table: Table, key: Item) -> Item | None:
        """Return a row by its key; None if there is none."""
        where, values = self.place(table, key)
        # Table and columns are quoted names; values are parameters.
        found = self.database.execute(
            f"SELECT item FROM {table.sql} WHERE {where}",  # noqa: S608
            values,
        ).fetchone()
        return json.loads(found[0]) if found else None

    def all(self, table: Table) -> list[Item]:
        """Return all rows of a table."""
        found = self.database.execute(f"SELECT item FROM {table.sql}")  # noqa: S608
        return [json.loads(text) for (text,) in found]

    def place(self, table: Table, key: Item) -> tuple[str, list[Any]]:
        """Return the condition in SQL that finds a row, and its parameters."""
        names = [name for name in (table.key.hash, table.key.range) if name]
        values = [plain(key.get(name)) for name in names]
        if None in values:
            raise TableError(
                "ValidationException",
                "One or more parameter values were invalid: Missing the key "
                f"{names[values.index(None)]} in the item",
            )
        return " AND ".join(f"{quoted(name)} = ?" for name in names), values

    def put(self, table: Table, item: Item, request: Mapping[str, Any]) -> Item | None:
        """Write a row if its condition holds; return the row before."""
        before = self.get(table, item)
        check(request, before)
        self.store(table, item)
        return before

    def update(
        self, table: Table, key: Item, request: Mapping[str, Any]
    ) -> tuple[Item | None, Item]:
        """Update a row if its condition holds; return the row before and after."""
        before = self.get(table, key)
        check(request, before)
        actions = expressions.parse_update(request.get("UpdateExpression", ""))
        keys = {table.key.hash, table.key.range}
        after = updates.updated(before or dict(key), actions, scope_of(request), keys)
        self.store(table, after)
        return before, after

    def delete(self, table: Table, key: Item, request: Mapping[str, Any]) -> Item | None:
        """Delete a row if its condition holds; return the row before."""
        before = self.get(table, key)
        check(request, before)
        where, values = self.place(table, key)
        self.database.execute(f"DELETE FROM {table.sql} WHERE {where}", values)  # noqa: S608
        return before

    def store(self, table: Table, item: Item) -> None:
        """Write a row; raise TableError if it is too large."""
        self.place(table, item)
        if size_of(item) > ROW_BYTES_MAX:
            raise TableError(
                "ValidationException", "Item size has exceeded the maximum allowed size"
            )
        marks = ", ".join("?" for _ in range(len(table.columns) + 1))
        values = [*(plain(item.get(name)) for name in table.columns), json.dumps(item)]
        self.database.execute(f"INSERT OR REPLACE INTO {table.sql} VALUES ({marks})", values)  # noqa: S608

    def transact(self, writes: Sequence[Mapping[str, Any]]) -> None:
        """Do all writes, or none.

        Raises
        ------
        TableError
            If a condition does not hold or a write is refused; with a reason for each write.
        """
        if len(writes) > TRANSACTION_ITEMS_MAX:
            raise TableError(
                "ValidationException",
                f"Member must have length less than or equal to {TRANSACTION_ITEMS_MAX}",
            )
        named = [next(iter(each.items())) for each in writes]
        seen: set[tuple[str, str]] = set()
        for kind, write in named:
            table = self.table(write["TableName"])
            _, values = self.place(table, write["Item" if kind == "Put" else "Key"])
            if (place := (table.name, repr(values))) in seen:
                raise TableError(
                    "ValidationException",
                    "Transaction request cannot include multiple operations on one item",
                )
            seen.add(place)
        with self.transaction():
            reasons = [self.try_write(kind, write) for kind, write in named]
            if any(each["Code"] != "None" for each in reasons):
                codes = ", ".join(each["Code"] for each in reasons)
                raise TableError(
                    "TransactionCanceledException",
                    "Transaction cancelled, please refer cancellation reasons for specific "
                    f"reasons [{codes}]",
                    CancellationReasons=reasons,
                )

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
        except ExpressionError as error:
            return {"Code": "ValidationError", "Message": str(error)}
        return {"Code": "None"}

    def query(self, table: Table, request: Mapping[str, Any]) -> tuple[list[Item], Item | None]:
        """Return the rows of one hash key in order, and the key where the next page begins."""
        index = table.key
        if name := request.get("IndexName"):
            if name not in table.indexes:
                raise TableError(
                    "ValidationException", f"The table does not have the specified index: {name}"
                )
            index = table.indexes[name]
        scope = scope_of(request)
        where, values = key_condition(
            expressions.parse_condition(request["KeyConditionExpression"]), index, scope
        )
        # Rows without the index's attributes are not in the index.
        where += [f"{quoted(name)} IS NOT NULL" for name in (index.hash, index.range) if name]
        forward = request.get("ScanIndexForward", True)
        own = [table.key.hash, table.key.range]
        order = [name for name in dict.fromkeys([index.range, *own]) if name]
        names = ", ".join(map(quoted, order))
        if start := request.get("ExclusiveStartKey"):
            marks = ", ".join("?" for _ in order)
            where.append(f"({names}) {'>' if forward else '<'} ({marks})")
            values += [plain(start[name]) for name in order]
        direction = ", ".join(f"{quoted(name)} {'ASC' if forward else 'DESC'}" for name in order)
        rows = self.database.execute(
            f"SELECT item FROM {table.sql} WHERE {' AND '.join(where)} ORDER BY {direction} "  # noqa: S608
            "LIMIT ?",
            [*values, request.get("Limit", -1)],
        )
        return page_of(table, index, rows, request)


def page_of(
    table: Table, index: Index, rows: Iterator[Any], request: Mapping[str, Any]
) -> tuple[list[Item], Item | None]:
    """Read rows up to DynamoDB's limit of a page; return them, and the next page's start."""
    keys = list(dict.fromkeys((table.key.hash, table.key.range, index.hash, index.range)))
    scope, limit, size = scope_of(request), request.get("Limit", 0), 0
    chosen = request.get("FilterExpression")
    found, read = [], 0
    for (text,) in rows:
        item: Item = json.loads(text)
        read, size = read + 1, size + len(text)
        if not chosen or expressions.holds(expressions.parse_condition(chosen), item, scope):
            found.append({name: item[name] for name in keys if name} if index.keys_only else item)
        if read == limit or size > PAGE_BYTES_MAX:
            return found, {name: item[name] for name in keys if name}
    return found, None


def scope_of(request: Mapping[str, Any]) -> Scope:
    """Return the names and the values of a request's expressions."""
    return Scope(
        request.get("ExpressionAttributeNames") or {},
        request.get("ExpressionAttributeValues") or {},
    )


def check(request: Mapping[str, Any], row: Item | None) -> None:
    """Raise TableError if a request has a condition that does not hold for a row."""
    text = request.get("ConditionExpression")
    if not text or expressions.holds(
        expressions.parse_condition(text), row or {}, scope_of(request)
    ):
        return
    wanted = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and row is not None
    raise TableError(FAILED, FAILED_SENTENCE, **({"Item": row} if wanted else {}))


def key_condition(node: Node, index: Index, scope: Scope) -> tuple[list[str], list[Any]]:
    """Return the conditions of a query in SQL, and their parameters."""
    match node:
        case ("and", left, right):
            first, second = key_condition(left, index, scope), key_condition(right, index, scope)
            return first[0] + second[0], first[1] + second[1]
        case ("compare", sign, ("path", (token,)), ("value", value)) if sign in SIGNS:
            return [f"{column(token, index, scope)} {sign} ?"], [plain(scope.value(value))]
        case ("between", ("path", (token,)), ("value", low), ("value", high)):
            return (
                [f"{column(token, index, scope)} BETWEEN ? AND ?"],
                [plain(scope.value(low)), plain(scope.value(high))],
            )
        case ("begins_with", ("path", (token,)), ("value", value)):
            start = plain(scope.value(value))
            name = column(token, index, scope)
            return [f"{name} >= ?", f"substr({name}, 1, ?) = ?"], [start, len(start), start]
    raise TableError("ValidationException", "Query key condition not supported")


def column(token: str, index: Index, scope: Scope) -> str:
    """Return the column of a key's attribute."""
    name = scope.name(token)
    if name not in (index.hash, index.range):
        raise TableError(
            "ValidationException", f"Query condition missed key schema element: {index.hash}"
        )
    return quoted(name)
