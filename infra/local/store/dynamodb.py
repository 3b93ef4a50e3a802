"""DynamoDB's calls: from the JSON of a request to `Rows`, and the JSON of the answer."""

from collections.abc import Callable, Mapping
from typing import Any

from infra.local.store import parser, queries, updates
from infra.local.store.errors import TableError
from infra.local.store.queries import Page, scope_of
from infra.local.store.requests import CALLS, SCHEMA, Request, checked_request
from infra.local.store.rows import Rows
from infra.local.store.schema import Table
from infra.local.store.values import Item, size_of

Answer = dict[str, Any]

# DynamoDB's own limit of an answer of BatchGetItem; the keys of further rows are sent back.
BATCH_BYTES_MAX = 16 * 1024 * 1024


class DynamoDb:
    """Answers DynamoDB's calls from tables.

    Parameters
    ----------
    rows : Rows
        The tables.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.calls: dict[str, Callable[[Request], Answer]] = {
            "CreateTable": self.create_table,
            "DescribeTable": self.describe_table,
            "DeleteTable": self.delete_table,
            "ListTables": self.list_tables,
            "GetItem": self.get_item,
            "BatchGetItem": self.batch_get_item,
            "PutItem": self.put_item,
            "DeleteItem": self.delete_item,
            "UpdateItem": self.update_item,
            "TransactWriteItems": self.transact_write_items,
            "Query": self.query,
            "Scan": self.scan,
        }

    def answer(self, call: str, request: Any) -> Answer:
        """Answer one call.

        Parameters
        ----------
        call : str
            Its name.
        request : dict
            From the request's JSON, which may be anything.

        Raises
        ------
        TableError
            If it is refused.
        """
        if call not in CALLS:
            raise TableError("UnknownOperationException", f"{call}: not offered on one machine")
        return self.calls[call](checked_request(call, request))

    def table(self, request: Request) -> Table:
        """Return the table that a request names."""
        return self.rows.table(request["TableName"])

    def create_table(self, request: Request) -> Answer:
        """Create a table."""
        schema = {name: request[name] for name in SCHEMA if name in request}
        return {"TableDescription": described(self.rows.create(schema))}

    def describe_table(self, request: Request) -> Answer:
        """Describe a table."""
        return {"Table": described(self.table(request))}

    def delete_table(self, request: Request) -> Answer:
        """Delete a table with all rows."""
        return {"TableDescription": described(self.rows.drop(request["TableName"]))}

    def list_tables(self, _: Request) -> Answer:
        """List the names of all tables."""
        return {"TableNames": sorted(self.rows.tables)}

    def get_item(self, request: Request) -> Answer:
        """Read one row."""
        row = self.rows.get(self.table(request), request["Key"])
        return {"Item": shown(row, request)} if row is not None else {}

    def batch_get_item(self, request: Request) -> Answer:
        """Read several rows; those for which the answer has no room are left for another call."""
        found: dict[str, list[Item]] = {}
        left: dict[str, Any] = {}
        size = 0
        for name, each in request["RequestItems"].items():
            table = self.rows.table(name)
            found[name], keys = [], list(each["Keys"])
            while keys and size <= BATCH_BYTES_MAX:
                row = self.rows.get(table, keys.pop(0))
                if row is not None:
                    size += size_of(row)
                    found[name].append(shown(row, each))
            if keys:
                left[name] = {**each, "Keys": keys}
        return {"Responses": found, "UnprocessedKeys": left}

    def put_item(self, request: Request) -> Answer:
        """Write one row."""
        before = self.rows.put(self.table(request), request["Item"], request)
        return returned(request, before, request["Item"])

    def delete_item(self, request: Request) -> Answer:
        """Delete one row."""
        before = self.rows.delete(self.table(request), request["Key"], request)
        return returned(request, before, {})

    def update_item(self, request: Request) -> Answer:
        """Update one row."""
        before, after = self.rows.update(self.table(request), request["Key"], request)
        return returned(request, before, after)

    def transact_write_items(self, request: Request) -> Answer:
        """Do several writes or none."""
        self.rows.transact(request["TransactItems"], request.get("ClientRequestToken"))
        return {}

    def query(self, request: Request) -> Answer:
        """Read the rows of one hash key."""
        return paged(queries.query(self.rows.database, self.table(request), request), request)

    def scan(self, request: Request) -> Answer:
        """Read all rows of a table."""
        return paged(queries.scan(self.rows.database, self.table(request), request), request)


def described(table: Table) -> Answer:
    """Describe a table as DynamoDB does."""
    return {
        **table.schema,
        "TableStatus": "ACTIVE",
        "TableArn": f"arn:aws:dynamodb:local:000000000000:table/{table.name}",
    }


def paged(page: Page, request: Request) -> Answer:
    """Answer with a page of rows."""
    more = {"LastEvaluatedKey": page.following} if page.following else {}
    items = [shown(row, request) for row in page.items]
    return {"Items": items, "Count": len(items), "ScannedCount": page.read, **more}


def shown(row: Item, request: Mapping[str, Any]) -> Item:
    """Return the part of a row that a request asks for."""
    paths = request.get("ProjectionExpression")
    if paths is None:
        return row
    return updates.projected(row, parser.parse_projection(paths), scope_of(request))


def returned(request: Request, before: Item | None, after: Item) -> Answer:
    """Return the attributes that a write asks for."""
    match request.get("ReturnValues", "NONE"):
        case "ALL_OLD":
            found = before or {}
        case "ALL_NEW":
            found = after
        case "UPDATED_OLD":
            found = updates_of(before or {}, request)
        case "UPDATED_NEW":
            found = updates_of(after, request)
        case _:
            return {}
    return {"Attributes": found} if found else {}


def updates_of(row: Item, request: Request) -> Item:
    """Return the part of a row that an update writes."""
    actions = (
        parser.parse_update(request["UpdateExpression"]) if "UpdateExpression" in request else ()
    )
    return updates.projected(row, tuple(action[1] for action in actions), scope_of(request))
