"""DynamoDB of one machine: what it refuses as the real one does, its pages and its transactions."""

import json
from datetime import UTC, datetime

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ServiceModel
from moto import mock_aws

from infra.local.store import requests
from infra.local.store.values import size_of
from tests.infra.web import request
from tests.store_server import serving

KIB = 1024
SCHEMA = {
    "TableName": "rows",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
        {"AttributeName": "due", "AttributeType": "N"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by_due",
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "due", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}
KEY = {"pk": {"S": "a"}, "sk": {"S": "1"}}
PLACE = {"TableName": "rows", "Key": KEY}


def client(**more):
    """Make a client that sends what it is given: the server is what is tested."""
    return boto3.client(
        "dynamodb",
        region_name="eu-central-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
        **more,
    )


@pytest.fixture(scope="module")
def server():
    with serving() as url:
        yield url


@pytest.fixture
def rows(server):
    """An empty table of the store."""
    rows = client(endpoint_url=server)
    rows.create_table(**SCHEMA)
    yield rows
    rows.delete_table(TableName="rows")


def refused(rows, call, **fields):
    with pytest.raises(ClientError) as error:
        getattr(rows, call)(**fields)
    return error.value.response


def item(**values):
    return {**KEY, **values}


def put(**values):
    return ("put_item", {"TableName": "rows", "Item": item(**values)})


def change(text, values=None, names=None, **more):
    return ("update_item", given({**PLACE, "UpdateExpression": text, **more}, values, names))


def condition(text, values=None, names=None):
    fields = {**PLACE, "ConditionExpression": text}
    return ("delete_item", given(fields, values, names))


def query(text, values, **more):
    fields = {"TableName": "rows", "KeyConditionExpression": text, **more}
    return ("query", given(fields, values))


def given(fields, values=None, names=None):
    if values is not None:
        fields["ExpressionAttributeValues"] = values
    if names is not None:
        fields["ExpressionAttributeNames"] = names
    return fields


V = {":v": {"S": "x"}}
ONE = {":v": {"N": "1"}}
NESTED = {"S": "x"}
for _ in range(33):
    NESTED = {"L": [NESTED]}

# What DynamoDB refuses as not valid; moto lets half of it through, or breaks.
REFUSED = {
    "empty expression": condition(""),
    "half an expression": condition("a ="),
    "an unknown sign": condition("a ! :v", V),
    "an open parenthesis": condition("(a = :v", V),
    "redundant parentheses": condition("((a = :v))", V),
    "an index that is no number": condition("a[x] = :v", V),
    "an unknown function": condition("is_there(a)"),
    "a function of another expression": condition("if_not_exists(a, :v) = :v", V),
    "too few operands": condition("contains(a)"),
    "a function of a path": condition("attribute_exists(:v)", V),
    "an unknown type": condition("attribute_type(a, :v)", V),
    "an order of sets": condition("a < :v", {":v": {"SS": ["x"]}}),
    "the start of a number": condition("begins_with(a, :v)", ONE),
    "bounds in the wrong order": condition(
        "a BETWEEN :v AND :w", {":v": {"N": "2"}, ":w": {"N": "1"}}
    ),
    "a path beside itself": condition("a = a"),
    "a reserved word": condition("state = :v", V),
    "a reserved word inside": condition("a.state = :v", V),
    "an undefined name": condition("#a = :v", V, {"#b": "b"}),
    "an undefined value": condition("a = :w", V),
    "an undefined value that is not looked at": condition("attribute_not_exists(a) OR a = :w", V),
    "an unused name": condition("a = :v", V, {"#b": "b"}),
    "an unused value": condition("a = :v", {**V, ":w": {"S": "y"}}),
    "no names": condition("a = :v", V, {}),
    "no values": condition("attribute_exists(a)", {}),
    "values without an expression": ("put_item", {**put()[1], "ExpressionAttributeValues": V}),
    "a name without its sign": condition("a = :v", V, {"b": "b"}),
    "an empty update": change(""),
    "an update without a clause": change("a = :v", V),
    "a clause twice": change("SET a = :v SET b = :v", V),
    "overlapping paths": change("SET a = :v, a.b = :v", V),
    "a change of the key": change("SET sk = :v", V),
    "a sum of a text": change("SET a = a + :v", V),
    "an addition of a text": change("ADD a :v", V),
    "a deletion of a text": change("DELETE a :v", V),
    "a missing operand": change("SET a = b", None),
    "a size in an update": change("SET a = size(b)", None),
    "an empty set": put(a={"SS": []}),
    "an empty set of an update": change("SET a = :v", {":v": {"NS": []}}),
    "a set with a member twice": put(a={"SS": ["x", "x"]}),
    "a set with a number twice": put(a={"NS": ["1", "1.0"]}),
    "a number that is none": put(a={"N": "abc"}),
    "an empty number": put(a={"N": ""}),
    "a number in a condition that is none": condition("a = :v", {":v": {"N": "1,5"}}),
    "39 digits": put(a={"N": "1" * 39}),
    "39 digits of a sum": change("SET a = :v + :w", {":v": {"N": "1e38"}, ":w": {"N": "1"}}),
    "a number too large": put(a={"N": "1e126"}),
    "a number too small": put(a={"N": "1e-131"}),
    "a null that is none": put(a={"NULL": False}),
    "no type": put(a={}),
    "two types": put(a={"S": "x", "N": "1"}),
    "33 lists in each other": put(a=NESTED),
    "no key": ("put_item", {"TableName": "rows", "Item": {"pk": {"S": "a"}}}),
    "an empty key": ("put_item", {"TableName": "rows", "Item": {**KEY, "sk": {"S": ""}}}),
    "a key of another type": ("put_item", {"TableName": "rows", "Item": {**KEY, "sk": {"N": "1"}}}),
    "an index's key of another type": put(due={"S": "1"}),
    "an index's key of another type by an update": change("SET due = :v", V),
    "a long key": ("put_item", {"TableName": "rows", "Item": {**KEY, "sk": {"S": "x" * 1025}}}),
    "a key with more than the key": (
        "get_item",
        {"TableName": "rows", "Key": {**KEY, "a": {"S": "x"}}},
    ),
    "half a key": ("get_item", {"TableName": "rows", "Key": {"pk": {"S": "a"}}}),
    "a row of more than 400 KiB": put(a={"S": "x" * 400 * KIB}),
    "a row that an update makes too large": change("SET a = :v", {":v": {"S": "x" * 400 * KIB}}),
    "returned values of an update": ("put_item", {**put()[1], "ReturnValues": "ALL_NEW"}),
    "no hash key": query("sk = :v", V),
    "a range of hash keys": query("pk > :v", V),
    "an attribute beside the key": query("pk = :v AND a = :v", V),
    "a key twice": query("pk = :v AND sk > :v AND sk < :v", V),
    "a key by OR": query("pk = :v OR sk = :v", V),
    "a key compared with another type": query("pk = :v", ONE),
    "a filter on the key": query("pk = :v", V, FilterExpression="sk = :v"),
    "a start that is no key": query("pk = :v", V, ExclusiveStartKey={"pk": {"S": "a"}}),
    "an unknown index": query("pk = :v", V, IndexName="none"),
    "a consistent read of an index": query("pk = :v", V, IndexName="by_due", ConsistentRead=True),
    "a page of no rows": query("pk = :v", V, Limit=0),
    "no condition of a query": ("query", {"TableName": "rows"}),
    "a key asked for twice": (
        "batch_get_item",
        {"RequestItems": {"rows": {"Keys": [KEY, KEY]}}},
    ),
    "101 keys": (
        "batch_get_item",
        {"RequestItems": {"rows": {"Keys": [{**KEY, "sk": {"S": f"{i}"}} for i in range(101)]}}},
    ),
    "a row twice in a transaction": (
        "transact_write_items",
        {
            "TransactItems": [
                {"Put": {"TableName": "rows", "Item": KEY}},
                {"Delete": PLACE},
            ]
        },
    ),
    "two writes as one": (
        "transact_write_items",
        {"TransactItems": [{"Put": {"TableName": "rows", "Item": KEY}, "Delete": PLACE}]},
    ),
    "a transaction of no writes": ("transact_write_items", {"TransactItems": []}),
    "a reserved word in a transaction": (
        "transact_write_items",
        {"TransactItems": [{"Delete": given({**PLACE, "ConditionExpression": "state = :v"}, V)}]},
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_valid_is_refused_and_changes_nothing(rows, case):
    call, fields = REFUSED[case]
    answer = refused(rows, call, **fields)
    assert answer["Error"]["Code"] == "ValidationException"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert not rows.scan(TableName="rows")["Items"]


SECOND = {"pk": {"S": "a"}, "sk": {"S": "2"}}
START = {"l": {"L": [{"S": "x"}, {"N": "2"}]}, "m": {"M": {"k": {"S": "y"}}}, "t": {"SS": ["p"]}}
# Calls one after the other, which DynamoDB takes.
TAKEN = [
    put(**START, n={"N": "1.50"}, due={"N": "5"}, b={"B": b"bytes"}, f={"BOOL": True}),
    ("put_item", {"TableName": "rows", "Item": {**SECOND, "n": {"N": "3"}, "due": {"N": "2"}}}),
    change("SET n = n + :v, #s = if_not_exists(#s, :v)", ONE, {"#s": "state"}),
    change("SET l = list_append(l, :v)", {":v": {"L": [{"S": "z"}]}}),
    change("SET l[0] = :v, m.j = :v REMOVE m.k", V),
    change("ADD t :v", {":v": {"SS": ["q"]}}, None, ReturnValues="ALL_OLD"),
    change("DELETE t :v", {":v": {"SS": ["p"]}}, None, ReturnValues="ALL_NEW"),
    change("ADD u :v", ONE, None, ReturnValues="UPDATED_NEW"),
    change("REMOVE gone"),
    (
        "update_item",
        given(
            {
                **PLACE,
                "UpdateExpression": "SET n = :v",
                "ConditionExpression": "attribute_type(f, :t) AND contains(t, :q)",
            },
            {**ONE, ":t": {"S": "BOOL"}, ":q": {"S": "q"}},
        ),
    ),
    condition("n > :v AND NOT attribute_exists(m.j)", ONE),
    condition("size(l) = :v", ONE),
    ("get_item", {**PLACE, "ProjectionExpression": "n, m.j"}),
    query("pk = :v AND begins_with(sk, :w)", {":v": {"S": "a"}, ":w": {"S": "2"}}),
    query("pk = :v", {":v": {"S": "a"}}, ScanIndexForward=False, Limit=1),
    query("pk = :v AND due < :w", {":v": {"S": "a"}, ":w": {"N": "9"}}, IndexName="by_due"),
    query("pk = :v", {":v": {"S": "a"}}, FilterExpression="attribute_exists(t)"),
    ("batch_get_item", {"RequestItems": {"rows": {"Keys": [KEY, {**KEY, "sk": {"S": "9"}}]}}}),
    ("delete_item", {"TableName": "rows", "Key": SECOND, "ReturnValues": "ALL_OLD"}),
    ("scan", {"TableName": "rows"}),
]


def test_what_is_valid_is_answered_as_by_moto(rows):
    with mock_aws():
        theirs = client()
        theirs.create_table(**SCHEMA)
        expected = [found(theirs, call, fields) for call, fields in TAKEN]
    for (call, fields), answer in zip(TAKEN, expected, strict=True):
        assert found(rows, call, fields) == answer, (call, fields)


def found(client, call, fields):
    """Return an answer without what may differ: sets have no order, numbers may end in zeros."""
    try:
        answer = getattr(client, call)(**fields)
    except ClientError as error:
        return error.response["Error"]["Code"]
    dropped = {"ResponseMetadata", "ConsumedCapacity"}
    return alike({name: each for name, each in answer.items() if name not in dropped})


def alike(answer):
    if isinstance(answer, list):
        return [alike(each) for each in answer]
    if not isinstance(answer, dict):
        return answer
    if answer.keys() == {"N"}:
        return float(answer["N"])
    if answer.keys() == {"SS"}:
        return set(answer["SS"])
    return {name: alike(each) for name, each in answer.items()}


SERIALIZED = {
    "a number as JSON": put(a={"N": 1}),
    "a text as a list": put(a={"S": ["x"]}),
    "a list as a text": put(a={"L": "x"}),
    "bytes that are no base64": put(a={"B": "?"}),
    "a key as a text": ("get_item", {"TableName": "rows", "Key": "a"}),
    "a limit as a text": query("pk = :v", V, Limit="1"),
}


@pytest.mark.parametrize("case", SERIALIZED)
def test_json_of_another_form_is_refused(server, rows, case):
    call, fields = SERIALIZED[case]
    assert answer_of(server, call, fields).endswith("#SerializationException")


def answer_of(server, call, fields):
    """Send JSON as it is, which botocore would not."""
    name = "".join(each.capitalize() for each in call.split("_"))
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    signed = "Credential=a/b, SignedHeaders=host;x-amz-date;x-amz-target, Signature=a"
    headers = {
        "X-Amz-Target": f"DynamoDB_20120810.{name}",
        "X-Amz-Date": now,
        "Authorization": f"AWS4-HMAC-SHA256 {signed}",
    }
    return json.loads(request("POST", server, json.dumps(fields), headers).body)["__type"]


def test_the_tables_of_fields_are_those_of_botocores_service_model():
    model = ServiceModel(Loader().load_service_model("dynamodb", "service-2"), "dynamodb")
    types = {"structure": dict, "map": dict, "list": list, "string": str}
    types |= {"integer": int, "boolean": bool}
    shapes = {
        **{call: model.operation_model(call).input_shape for call in requests.CALLS},
        **{write: model.shape_for(write) for write in requests.WRITES},
        "KeysAndAttributes": model.shape_for("KeysAndAttributes"),
    }
    ours = {**requests.CALLS, **requests.WRITES, "KeysAndAttributes": requests.KEYS_OF_TABLE}
    for name, shape in shapes.items():
        # Those of CreateTable can be left out for a table that is restored.
        assert name == "CreateTable" or set(ours[name].required) == set(shape.required_members)
        assert ours[name].known <= shape.members.keys()
        for field in ours[name].known & requests.TYPES.keys():
            assert types[shape.members[field].type_name] is requests.TYPES[field]
    for call, values in requests.RETURNED.items():
        shape = model.operation_model(call).input_shape.members["ReturnValues"]
        assert values <= set(shape.enum)


def test_a_sum_is_exact_to_38_digits(rows):
    rows.put_item(TableName="rows", Item=item(n={"N": "9" * 37}))
    rows.update_item(
        **PLACE, UpdateExpression="ADD n :v", ExpressionAttributeValues={":v": {"N": "1"}}
    )
    assert rows.get_item(**PLACE)["Item"]["n"] == {"N": "1" + "0" * 37}


def test_a_row_counts_names_and_values_as_dynamodb_says(rows):
    assert size_of({"é": {"S": "é"}, "n": {"N": "-123.5"}, "b": {"B": "AAAA"}}) == 4 + 5 + 4
    assert size_of({"l": {"L": [{"S": "x"}]}, "m": {"M": {"k": {"BOOL": True}}}}) == 6 + 7
    room = 400 * KIB - size_of(KEY) - 1
    rows.put_item(TableName="rows", Item=item(a={"S": "x" * room}))
    refused(rows, "put_item", TableName="rows", Item=item(a={"S": "x" * (room + 1)}))
    assert len(rows.get_item(**PLACE)["Item"]["a"]["S"]) == room


def test_a_page_has_at_most_a_megabyte(rows):
    for i in range(7):
        row = {**KEY, "sk": {"S": f"{i}"}, "due": {"N": f"{i}"}, "a": {"S": "x" * 300 * KIB}}
        rows.put_item(TableName="rows", Item=row)
    asked = {
        "scan": {},
        "query": given({"KeyConditionExpression": "pk = :v"}, {":v": {"S": "a"}}),
    }
    asked["query of an index"] = {**asked["query"], "IndexName": "by_due"}
    asked["scan of an index"] = {"IndexName": "by_due"}
    for call, fields in asked.items():
        pages = list(rows.get_paginator(call.split()[0]).paginate(TableName="rows", **fields))
        assert [page["Count"] for page in pages] == [3, 3, 1]
        assert [row["sk"]["S"] for page in pages for row in page["Items"]] == list("0123456")
        assert set(pages[0]["LastEvaluatedKey"]) == {"pk", "sk", *(["due"] * ("index" in call))}
    assert "LastEvaluatedKey" not in pages[-1]


def test_a_page_counts_rows_that_its_filter_leaves_out(rows):
    for i in range(5):
        rows.put_item(TableName="rows", Item={**KEY, "sk": {"S": f"{i}"}, "n": {"N": f"{i}"}})
    fields = {"TableName": "rows", "FilterExpression": "n >= :v", "Limit": 2}
    fields["ExpressionAttributeValues"] = {":v": {"N": "3"}}
    pages, start = [], {}
    while True:
        pages.append(rows.scan(**fields, **start))
        if "LastEvaluatedKey" not in pages[-1]:
            break
        start = {"ExclusiveStartKey": pages[-1]["LastEvaluatedKey"]}
    assert [(page["Count"], page["ScannedCount"]) for page in pages] == [(0, 2), (1, 2), (1, 1)]


def write(sk, value, text, **more):
    fields = {"TableName": "rows", "Key": {"pk": {"S": "a"}, "sk": {"S": sk}}}
    fields |= {"UpdateExpression": "ADD n :n", "ConditionExpression": text}
    values = {":n": {"N": "1"}, ":v": {"N": value}}
    return {"Update": {**fields, "ExpressionAttributeValues": values, **more}}


def test_a_transaction_says_why_each_write_could_not_be_done(rows):
    rows.put_item(TableName="rows", Item=item(n={"N": "7"}))
    writes = [
        write("1", "8", "n = :v", ReturnValuesOnConditionCheckFailure="ALL_OLD"),
        write("2", "8", "attribute_not_exists(pk) OR n = :v"),
        write("3", "8", "n = :v", ReturnValuesOnConditionCheckFailure="ALL_OLD"),
        {"Put": {"TableName": "rows", "Item": {**KEY, "sk": {"S": "4"}}}},
    ]
    answer = refused(rows, "transact_write_items", TransactItems=writes)
    assert answer["Error"]["Code"] == "TransactionCanceledException"
    failed = "ConditionalCheckFailed"
    assert f"[{failed}, None, {failed}, None]" in answer["Error"]["Message"]
    reasons = answer["CancellationReasons"]
    assert [each["Code"] for each in reasons] == [failed, "None", failed, "None"]
    assert [each.get("Item") for each in reasons] == [item(n={"N": "7"}), None, None, None]
    assert len(rows.scan(TableName="rows")["Items"]) == 1


def test_a_transaction_that_is_sent_again_is_done_once(rows):
    asked = {"TransactItems": [write("1", "1", "NOT n > :v")], "ClientRequestToken": "token"}
    for _ in range(2):
        rows.transact_write_items(**asked)
    assert rows.get_item(**PLACE)["Item"]["n"] == {"N": "1"}
    other = {**asked, "TransactItems": [write("2", "1", "NOT n > :v")]}
    answer = refused(rows, "transact_write_items", **other)
    assert answer["Error"]["Code"] == "IdempotentParameterMismatchException"
    rows.transact_write_items(**asked | {"ClientRequestToken": "another"})
    assert rows.get_item(**PLACE)["Item"]["n"] == {"N": "2"}


def test_an_update_returns_what_it_wrote_even_if_it_was_the_same(rows):
    rows.put_item(TableName="rows", Item=item(a={"S": "x"}, b={"S": "y"}))
    for wanted, expected in (("UPDATED_NEW", "x"), ("UPDATED_OLD", "x")):
        call, fields = change("SET a = :v", V, ReturnValues=wanted)
        assert getattr(rows, call)(**fields)["Attributes"] == {"a": {"S": expected}}


def test_an_answer_of_many_rows_leaves_keys_for_the_next(rows):
    keys = [{**KEY, "sk": {"S": f"{i:02}"}} for i in range(60)]
    for key in keys:
        rows.put_item(TableName="rows", Item={**key, "a": {"S": "x" * 300 * KIB}})
    answer = rows.batch_get_item(RequestItems={"rows": {"Keys": keys}})
    left = answer["UnprocessedKeys"]["rows"]["Keys"]
    assert len(answer["Responses"]["rows"]) + len(left) == 60
    assert 0 < len(left) < 10


def test_a_key_that_would_be_rounded_is_refused(rows):
    for number in ("9223372036854775808", "1.0000000000000001"):
        answer = refused(rows, *[put(due={"N": number})[0]], **put(due={"N": number})[1])
        assert "not offered on one machine" in answer["Error"]["Message"]
    for number in ("9223372036854775807", "1.5", "-3"):
        rows.put_item(TableName="rows", Item=item(due={"N": number}))
