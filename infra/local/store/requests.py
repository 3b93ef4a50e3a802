"""What DynamoDB takes in a request: its fields, their types, and names and values of expressions.

The tables follow botocore's service model; a test compares them with it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.store import expressions, parser
from infra.local.store.errors import Invalid, TableError
from infra.local.store.queries import scope_of
from infra.local.store.values import checked, checked_item, wrong_type

Request = Mapping[str, Any]

# The types of fields; a field that is not here may be anything.
TYPES: dict[str, type] = {
    "AttributeDefinitions": list,
    "ConsistentRead": bool,
    "ExclusiveStartKey": dict,
    "ExpressionAttributeNames": dict,
    "ExpressionAttributeValues": dict,
    "GlobalSecondaryIndexes": list,
    "Item": dict,
    "Key": dict,
    "KeySchema": list,
    "Keys": list,
    "Limit": int,
    "RequestItems": dict,
    "ScanIndexForward": bool,
    "TransactItems": list,
    **dict.fromkeys(
        (
            *("TableName", "IndexName", "ClientRequestToken", "ReturnValues"),
            *("ConditionExpression", "FilterExpression", "KeyConditionExpression"),
            *("ProjectionExpression", "UpdateExpression", "ReturnValuesOnConditionCheckFailure"),
        ),
        str,
    ),
}
# Fields that are items or keys, and those that are expressions.
ITEMS = ("Item", "Key", "ExclusiveStartKey")
EXPRESSIONS: dict[str, Callable[[str], Any]] = {
    "ConditionExpression": parser.parse_condition,
    "FilterExpression": lambda text: parser.parse_condition(text, "FilterExpression"),
    "KeyConditionExpression": lambda text: parser.parse_condition(text, "KeyConditionExpression"),
    "UpdateExpression": parser.parse_update,
    "ProjectionExpression": parser.parse_projection,
}
NAMES, VALUES = "ExpressionAttributeNames", "ExpressionAttributeValues"
TOKENS = {NAMES: re.compile(r"#\w+", re.ASCII), VALUES: re.compile(r":\w+", re.ASCII)}
UNDEFINED = {
    NAMES: "An expression attribute name used in the document path is not defined; "
    "attribute name: {}",
    VALUES: "An expression attribute value used in expression is not defined; attribute value: {}",
}
CONDITION = {"ConditionExpression", NAMES, VALUES, "ReturnValuesOnConditionCheckFailure"}
PAGE = {
    *("TableName", "IndexName", "FilterExpression", "ProjectionExpression", NAMES, VALUES),
    *("Limit", "ExclusiveStartKey"),
}
SCHEMA = ("TableName", "KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes")
# What changes nothing here: reads are always consistent, and no capacity is counted.
IGNORED = {"ConsistentRead", "ReturnConsumedCapacity"}


@dataclass(frozen=True)
class Fields:
    """The fields that a request must have, and those that it may have."""

    required: tuple[str, ...]
    optional: set[str] = field(default_factory=set)

    @property
    def known(self) -> set[str]:
        """All fields."""
        return {*self.required, *self.optional}


CALLS = {
    "CreateTable": Fields(SCHEMA[:3], {"GlobalSecondaryIndexes", "BillingMode", "Tags"}),
    "DescribeTable": Fields(("TableName",)),
    "DeleteTable": Fields(("TableName",)),
    "ListTables": Fields(()),
    "GetItem": Fields(("TableName", "Key"), {"ProjectionExpression", NAMES}),
    "BatchGetItem": Fields(("RequestItems",)),
    "PutItem": Fields(("TableName", "Item"), {"ReturnValues", *CONDITION}),
    "DeleteItem": Fields(("TableName", "Key"), {"ReturnValues", *CONDITION}),
    "UpdateItem": Fields(("TableName", "Key"), {"UpdateExpression", "ReturnValues", *CONDITION}),
    "TransactWriteItems": Fields(("TransactItems",), {"ClientRequestToken"}),
    "Query": Fields(("TableName",), {"KeyConditionExpression", "ScanIndexForward", *PAGE}),
    "Scan": Fields(("TableName",), PAGE),
}
KEYS_OF_TABLE = Fields(("Keys",), {"ProjectionExpression", NAMES})
WRITES = {
    "Put": Fields(("TableName", "Item"), CONDITION),
    "Update": Fields(("TableName", "Key", "UpdateExpression"), CONDITION),
    "Delete": Fields(("TableName", "Key"), CONDITION),
    "ConditionCheck": Fields(("TableName", "Key", "ConditionExpression"), CONDITION),
}
# Returned values that a call can be asked for.
RETURNED = {
    "PutItem": {"NONE", "ALL_OLD"},
    "DeleteItem": {"NONE", "ALL_OLD"},
    "UpdateItem": {"NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"},
}
# DynamoDB's own limits: rows that BatchGetItem reads, and writes of a transaction.
KEYS_MAX = 100
TRANSACTION_ITEMS_MAX = 100


def checked_request(call: str, request: Any) -> Request:
    """Return a request with its numbers as DynamoDB writes them.

    Parameters
    ----------
    call : str
        One of `CALLS`.
    request : dict
        From the request's JSON, which may be anything.

    Raises
    ------
    TableError
        If DynamoDB refuses such a request whatever the table holds.
    """
    found = checked_fields(call, request, CALLS[call])
    if "RequestItems" in found:
        found = {**found, "RequestItems": checked_reads(found["RequestItems"])}
    if "TransactItems" in found:
        found = {**found, "TransactItems": checked_writes(found["TransactItems"])}
    wanted = found.get("ReturnValues", "NONE")
    if call in RETURNED and wanted not in RETURNED[call]:
        raise Invalid(f"Return values set to invalid value: {wanted}")
    if found.get("Limit", 1) < 1:
        raise must("limit", "have value greater than or equal to 1")
    return found


def checked_reads(asked: Mapping[str, Any]) -> Request:
    """Return what BatchGetItem asks each table for."""
    if not asked:
        raise must("requestItems", "have length greater than or equal to 1")
    found = {
        name: checked_fields("BatchGetItem", each, KEYS_OF_TABLE) for name, each in asked.items()
    }
    for name, each in found.items():
        keys = [checked_item(key) for key in each["Keys"]]
        if not keys:
            raise must(f"requestItems.{name}.member.keys", "have length greater than or equal to 1")
        if any(key in keys[:i] for i, key in enumerate(keys)):
            raise Invalid("Provided list of item keys contains duplicates")
        found[name] = {**each, "Keys": keys}
    if sum(len(each["Keys"]) for each in found.values()) > KEYS_MAX:
        raise Invalid("Too many items requested for the BatchGetItem call")
    return found


def checked_writes(writes: list[Any]) -> list[Request]:
    """Return the writes of a transaction."""
    if not 1 <= len(writes) <= TRANSACTION_ITEMS_MAX:
        raise must("transactItems", f"have length between 1 and {TRANSACTION_ITEMS_MAX}")
    found: list[Request] = []
    for each in writes:
        if not isinstance(each, dict):
            raise wrong_type("structure")
        if len(each) != 1 or not each.keys() <= WRITES.keys():
            raise Invalid("TransactItems can only contain one of Check, Put, Update or Delete")
        ((kind, write),) = each.items()
        found.append({kind: checked_fields(kind, write, WRITES[kind])})
    return found


def checked_fields(call: str, request: Any, fields: Fields) -> Request:
    """Return a request, or a part of one, with its items, keys and values checked."""
    if not isinstance(request, dict):
        raise wrong_type("structure")
    for name in fields.required:
        if request.get(name) is None:
            raise must(name[0].lower() + name[1:], "not be null", "null")
    if unknown := request.keys() - fields.known - IGNORED:
        raise Invalid(f"{call}: {', '.join(sorted(unknown))}: not offered on one machine")
    for name, value in request.items():
        expected = TYPES.get(name, object)
        if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
            raise wrong_type(f"{name}: {expected.__name__}")
    found = {name: checked_item(request[name]) for name in ITEMS if name in request}
    if VALUES in request:
        found[VALUES] = {name: checked(value) for name, value in request[VALUES].items()}
    whole: Request = {**request, **found}
    check_expressions(whole)
    return whole


def check_expressions(request: Request) -> None:
    """Raise Invalid if an expression is wrong, or its names and values are not those given."""
    used: set[str] = set()
    for name in EXPRESSIONS.keys() & request.keys():
        EXPRESSIONS[name](request[name])
        used |= parser.tokens_of(request[name], name)
    for name, token in TOKENS.items():
        check_tokens(request, name, token, used)
    for node in nodes_of(request):
        expressions.check_operands(node, scope_of(request))
    if any(isinstance(each, int) for path in shown_paths(request) for each in path):
        raise Invalid("one element of a list in the answer: not offered on one machine")


def shown_paths(request: Request) -> Iterator[parser.Path]:
    """Yield the paths of attributes that the answer is to have, but for whole items."""
    if "ProjectionExpression" in request:
        yield from parser.parse_projection(request["ProjectionExpression"])
    if request.get("ReturnValues", "").startswith("UPDATED") and "UpdateExpression" in request:
        yield from (action[1] for action in parser.parse_update(request["UpdateExpression"]))


def check_tokens(request: Request, name: str, token: re.Pattern[str], used: set[str]) -> None:
    """Raise Invalid unless the names, or the values, are those that the expressions use."""
    given = request.get(name)
    if given is not None:
        if not EXPRESSIONS.keys() & request.keys():
            raise Invalid(f"{name} can only be specified when using expressions")
        if not given:
            raise Invalid(f"{name} must not be empty")
        if wrong := [each for each in given if not token.fullmatch(each)]:
            raise Invalid(f'{name} contains invalid key: Syntax error; key: "{wrong[0]}"')
    mark = token.pattern[0]
    wanted = {each for each in used if each.startswith(mark)}
    if missing := wanted - (given or {}).keys():
        raise Invalid(UNDEFINED[name].format(sorted(missing)[0]))
    if unused := (given or {}).keys() - wanted:
        keys = ", ".join(sorted(unused))
        raise Invalid(f"Value provided in {name} unused in expressions: keys: {{{keys}}}")


def nodes_of(request: Request) -> Iterator[parser.Node]:
    """Yield the conditions and the actions of a request's expressions."""
    for name in EXPRESSIONS.keys() & request.keys():
        parsed = EXPRESSIONS[name](request[name])
        if name == "UpdateExpression":
            yield from parsed
        elif name != "ProjectionExpression":
            yield parsed


def must(name: str, what: str, value: str = "") -> TableError:
    """Make the error for a field whose value breaks a constraint of the service model."""
    shown = f" {value}" if value else ""
    return Invalid(
        f"1 validation error detected: Value{shown} at '{name}' failed to satisfy constraint: "
        f"Member must {what}"
    )
