"""Queries and scans: their conditions in SQL, and pages of DynamoDB's size."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.store import expressions, parser
from infra.local.store.errors import Invalid
from infra.local.store.expressions import Scope
from infra.local.store.parser import Node
from infra.local.store.schema import INVALID, Index, Table, named, plain, quoted
from infra.local.store.values import Item, Value, size_of

# DynamoDB's own limit of a page.
PAGE_BYTES_MAX = 1024 * 1024
SIGNS = {"=", "<", "<=", ">", ">="}
UNSUPPORTED = "Query key condition not supported"


@dataclass(frozen=True)
class Page:
    """Rows, how many were read for them, and the key where the next page begins."""

    items: list[Item]
    read: int
    following: Item | None


@dataclass(frozen=True)
class Condition:
    """A condition on one attribute of a key, in SQL."""

    name: str
    sign: str
    sql: str
    parameters: tuple[Any, ...]


def query(database: sqlite3.Connection, table: Table, request: Mapping[str, Any]) -> Page:
    """Read a page of the rows of one hash key, in the order of their sort keys."""
    index = table.index(request.get("IndexName"))
    if "KeyConditionExpression" not in request:
        raise Invalid(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the "
            "request."
        )
    node = parser.parse_condition(request["KeyConditionExpression"], "KeyConditionExpression")
    found = key_conditions(node, table, index, scope_of(request))
    order = list(dict.fromkeys([*index.names[1:], *table.key.names]))
    return read_page(database, table, index, request, found, order)


def scan(database: sqlite3.Connection, table: Table, request: Mapping[str, Any]) -> Page:
    """Read a page of all rows, in the order of their keys."""
    index = table.index(request.get("IndexName"))
    order = list(dict.fromkeys([*index.names, *table.key.names]))
    return read_page(database, table, index, request, [], order)


def read_page(
    database: sqlite3.Connection,
    table: Table,
    index: Index,
    request: Mapping[str, Any],
    conditions: list[Condition],
    order: list[str],
) -> Page:
    """Read rows up to the limits of a page.

    Parameters
    ----------
    database : sqlite3.Connection
        Where the table is.
    table, index : Table, Index
        What is read.
    request : mapping
        Of Query or Scan.
    conditions : list of Condition
        On the attributes of the index's key.
    order : list of str
        Attributes that the rows are sorted by.
    """
    if request.get("ConsistentRead") and index.name:
        raise Invalid("Consistent reads are not supported on global secondary indexes")
    forward = request.get("ScanIndexForward", True)
    where: list[str] = []
    values: list[Any] = []
    for each in conditions:
        where.append(each.sql)
        values += each.parameters
    # Rows without the index's attributes are not in the index.
    where += [f"{quoted(name)} IS NOT NULL" for name in index.names]
    if "ExclusiveStartKey" in request:
        start = table.start(index, request["ExclusiveStartKey"])
        marks = ", ".join("?" for _ in order)
        where.append(f"({named(order)}) {'>' if forward else '<'} ({marks})")
        values += [plain(start[name]) for name in order]
    direction = ", ".join(f"{quoted(name)} {'ASC' if forward else 'DESC'}" for name in order)
    rows = database.execute(
        # Table and columns are quoted names; values are parameters.
        f"SELECT item FROM {table.sql} WHERE {' AND '.join(where)} ORDER BY {direction}",  # noqa: S608
        values,
    )
    try:
        return page_of(table, index, rows, request)
    finally:
        rows.close()


def page_of(table: Table, index: Index, rows: Iterator[Any], request: Mapping[str, Any]) -> Page:
    """Take rows up to DynamoDB's limits of a page."""
    keys = list(dict.fromkeys([*table.key.names, *index.names]))
    scope, limit = scope_of(request), request.get("Limit", 0)
    chosen = filter_of(index, request)
    found, read, size, last = [], 0, 0, None
    for (text,) in rows:
        item: Item = json.loads(text)
        if index.keys_only:
            item = {name: item[name] for name in keys}
        size += size_of(item)
        if last is not None and (read == limit or size > PAGE_BYTES_MAX):
            return Page(found, read, last)
        read, last = read + 1, {name: item[name] for name in keys}
        if chosen is None or expressions.holds(chosen, item, scope):
            found.append(item)
    # A full page names where the next one begins, even if there are no more rows.
    return Page(found, read, last if read == limit else None)


def filter_of(index: Index, request: Mapping[str, Any]) -> Node | None:
    """Return the condition on rows that are read, if there is one."""
    text = request.get("FilterExpression")
    if text is None:
        return None
    scope, names = scope_of(request), set(index.names)
    node = parser.parse_condition(text, "FilterExpression")
    if "KeyConditionExpression" in request and (
        used := names & {scope.name(str(path[0])) for path in paths_of(node)}
    ):
        raise Invalid(
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: "
            f"{', '.join(sorted(used))}"
        )
    return node


def paths_of(node: Node) -> Iterator[tuple[str | int, ...]]:
    """Yield the paths that a condition refers to."""
    if node[0] == "path":
        yield node[1]
        return
    for each in node:
        if isinstance(each, tuple):
            yield from paths_of(each)


def scope_of(request: Mapping[str, Any]) -> Scope:
    """Return the names and the values of a request's expressions."""
    return Scope(
        request.get("ExpressionAttributeNames") or {},
        request.get("ExpressionAttributeValues") or {},
    )


def key_conditions(node: Node, table: Table, index: Index, scope: Scope) -> list[Condition]:
    """Return the conditions of a query: on the hash key, and perhaps on the sort key.

    Raises
    ------
    Invalid
        If DynamoDB allows no such condition on keys.
    """
    found: dict[str, Condition] = {}
    for each in conjuncts(node):
        condition = key_condition(each, table, scope)
        if condition.name not in index.names:
            missed = index.hash if index.hash not in found else index.range or index.hash
            raise Invalid(f"Query condition missed key schema element: {missed}")
        if condition.name in found:
            raise Invalid(
                "KeyConditionExpressions must only contain one condition per key; "
                f"key: {condition.name}"
            )
        found[condition.name] = condition
    if index.hash not in found:
        raise Invalid(f"Query condition missed key schema element: {index.hash}")
    if found[index.hash].sign != "=":
        raise Invalid(UNSUPPORTED)
    return list(found.values())


def conjuncts(node: Node) -> Iterator[Node]:
    """Yield the conditions that AND joins."""
    if node[0] == "and":
        yield from conjuncts(node[1])
        yield from conjuncts(node[2])
    else:
        yield node


def key_condition(node: Node, table: Table, scope: Scope) -> Condition:
    """Return one condition of a query in SQL."""
    match node:
        case ("compare", sign, ("path", (token,)), ("value", value)) if sign in SIGNS:
            name, values = scope.name(token), [scope.value(value)]
            sql = f"{quoted(name)} {sign} ?"
        case ("between", ("path", (token,)), ("value", low), ("value", high)):
            name, sign, values = scope.name(token), "between", [scope.value(low), scope.value(high)]
            sql = f"{quoted(name)} BETWEEN ? AND ?"
        case ("begins_with", ("path", (token,)), ("value", value)):
            name, sign, values = scope.name(token), "begins_with", [scope.value(value)]
            sql = f"{quoted(name)} >= ? AND substr({quoted(name)}, 1, ?) = ?"
        case _:
            raise Invalid(UNSUPPORTED)
    parameters = [key_value(table, name, each) for each in values]
    if sign == "begins_with":
        (start,) = parameters
        parameters = [start, len(start), start]
    return Condition(name, sign, sql, tuple(parameters))


def key_value(table: Table, name: str, value: Value) -> Any:
    """Return a value that a key is compared with, as SQL compares it."""
    if name in table.types and table.types[name] not in value:
        raise Invalid(f"{INVALID}: Condition parameter type does not match schema type")
    return plain(value)
