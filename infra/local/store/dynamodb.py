"""DynamoDB's calls: from the JSON of a request to `Rows`, and the JSON of the answer."""

from collections.abc import Callable, Mapping
from typing import Any

from infra.local.store import expressions, updates
from infra.local.store.expressions import ExpressionError, Item
from infra.local.store.rows import Rows, Table, TableError, scope_of

Request = Mapping[str, Any]
Answer = dict[str, Any]

# Rows that one call of BatchGetItem reads at most.
KEYS_MAX = 100
# What changes nothing here: reads are always consistent, and no capacity is counted.
IGNORED = {"ConsistentRead", "ReturnConsumedCapacity", "ClientRequestToken"}
CONDITION = {
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ReturnValuesOnConditionCheckFailure",
}
READ = {"ProjectionExpression", "ExpressionAttributeNames"}


class DynamoDb:
    """Answers DynamoDB's calls from tables.

    Parameters
    ----------
    rows : Rows
        The tables.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.calls: dict[str, tuple[Callable[[Request], Answer], set[str]]] = {
            "CreateTable": (self.create_table, {*SCHEMA, "BillingMode", "Tags"}),
            "DescribeTable": (self.describe_table, {"TableName"}),
            "DeleteTable": (self.delete_table, {"TableName"}),
            "ListTables": (self.list_tables, set()),
            "GetItem": (self.get_item, {"TableName", "Key", *READ}),
            "BatchGetItem": (self.batch_get_item, {"RequestItems"}),
            "PutItem": (self.put_item, {"TableName", "Item", "ReturnValues", *CONDITION}),
            "DeleteItem": (self.delete_item, {"TableName", "Key", "ReturnValues", *CONDITION}),
            "UpdateItem": (
                self.update_item,
                {"TableName", "Key", "UpdateExpression", "ReturnValues", *CONDITION},
            ),
            "TransactWriteItems": (self.transact_write_items, {"TransactItems"}),
            "Query": (self.query, {*QUERY, *CONDITION}),
            "Scan": (self.scan, {"TableName", *READ}),
        }

    def answer(self, call: str, request: Request) -> Answer:
        """Answer one call.

        Raises
        ------
        TableError
            If it is refused.
        """
        if call not in self.calls:
            raise TableError("UnknownOperationException", f"{call}: not offered on one machine")
        function, known = self.calls[call]
        if unknown := request.keys() - known - IGNORED:
            raise TableError(
                "ValidationException",
                f"{call}: {', '.join(sorted(unknown))}: not offered on one machine",
            )
        try:
            return function(request)
        except ExpressionError as error:
            raise TableError("ValidationException", str(error)) from error

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
        """Read several rows."""
        asked = request["RequestItems"]
        if sum(len(each["Keys"]) for each in asked.values()) > KEYS_MAX:
            raise TableError(
                "ValidationException", "Too many items requested for the BatchGetItem call"
            )
        found = {
            name: [
                shown(row, each)
                for key in each["Keys"]
                if (row := self.rows.get(self.rows.table(name), key)) is not None
            ]
            for name, each in asked.items()
        }
        return {"Responses": found, "UnprocessedKeys": {}}

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
        self.rows.transact(request["TransactItems"])
        return {}

    def query(self, request: Request) -> Answer:
        """Read the rows of one hash key."""
        found, following = self.rows.query(self.table(request), request)
        more = {"LastEvaluatedKey": following} if following else {}
        counts = {"Count": len(found), "ScannedCount": len(found)}
        return {"Items": [shown(row, request) for row in found], **counts, **more}

    def scan(self, request: Request) -> Answer:
        """Read all rows of a table; in one page, for tests."""
        found = self.rows.all(self.table(request))
        counts = {"Count": len(found), "ScannedCount": len(found)}
        return {"Items": [shown(row, request) for row in found], **counts}


SCHEMA = ("TableName", "KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes")
QUERY = {
    "TableName",
    "IndexName",
    "KeyConditionExpression",
    "FilterExpression",
    "ProjectionExpression",
    "Limit",
    "ScanIndexForward",
    "ExclusiveStartKey",
}


def described(table: Table) -> Answer:
    """Describe a table as DynamoDB does."""
    return {
        **table.schema,
        "TableStatus": "ACTIVE",
        "TableArn": f"arn:aws:dynamodb:local:000000000000:table/{table.name}",
    }


def shown(row: Item, request: Request) -> Item:
    """Return the part of a row that a request asks for."""
    paths = request.get("ProjectionExpression")
    if not paths:
        return row
    return updates.projected(row, expressions.parse_projection(paths), scope_of(request))


def returned(request: Request, before: Item | None, after: Item) -> Answer:
    """Return the attributes that a write asks for."""
    match request.get("ReturnValues", "NONE"):
        case "ALL_OLD":
            return {"Attributes": before} if before else {}
        case "ALL_NEW":
            return {"Attributes": after}
        case "UPDATED_NEW":
            old = before or {}
            keys = request.get("Key", {})
            named = {name: value for name, value in after.items() if old.get(name) != value}
            return {"Attributes": {name: named[name] for name in named if name not in keys}}
        case "NONE":
            return {}
        case other:
            raise TableError(
                "ValidationException", f"ReturnValues {other}: not offered on one machine"
            )
