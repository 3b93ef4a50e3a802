"""S3 and DynamoDB of `make run`: many clients at once, uploads from the page, and restarts."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import boto3
import pytest
from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

from infra.local.ports import free_ports
from infra.local.process import Process
from infra.local.supervisor import Supervisor
from tests.infra.web import request

pytestmark = pytest.mark.slow

ORIGIN = "http://127.0.0.1:9999"
REGION = "eu-central-1"
KEYS = {"aws_access_key_id": "local", "aws_secret_access_key": "local", "region_name": REGION}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("aws")
    (port,) = free_ports(1)
    names = {
        "TABLE": "jobs",
        "UPLOADS_BUCKET": "uploads",
        "RESULTS_BUCKET": "results",
        "BROKER_URL": "amqp://none/",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    process = Process.python(
        "aws",
        "infra.local.aws",
        f"--port={port}",
        f"--origin={ORIGIN}",
        f"--folder={folder / 'store'}",
        **names,
    )
    with Supervisor(folder, print) as supervisor:
        supervisor.start(process)
        supervisor.await_ready("aws", lambda: "ready" in (folder / "aws.log").read_text(), 60)
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def table(endpoint):
    return boto3.resource("dynamodb", endpoint_url=endpoint, **KEYS).Table("jobs")


def put(table, pk, **values):
    table.put_item(Item={"pk": pk, "sk": "row", **values})


def get(table, pk):
    return table.get_item(Key={"pk": pk, "sk": "row"}).get("Item")


def add_if(pk, condition, values, counter):
    """Write a row under a condition and count it, in one transaction like those of jobs."""
    return [
        {
            "Update": {
                "TableName": "jobs",
                "Key": {"pk": counter, "sk": "row"},
                "UpdateExpression": "ADD n :one",
                "ExpressionAttributeValues": {":one": 1},
            }
        },
        {
            "Update": {
                "TableName": "jobs",
                "Key": {"pk": pk, "sk": "row"},
                "UpdateExpression": "SET n = n + :one",
                "ConditionExpression": condition,
                "ExpressionAttributeValues": {":one": 1, **values},
            }
        },
    ]


def test_a_failed_transaction_undoes_no_write_of_another_client(table):
    put(table, "race", n=0)
    put(table, "race-counter", n=0)
    client = table.meta.client

    def attempt(number):
        # Every second transaction must fail, after its counter would have been written.
        wanted = 0 if number % 2 else 1_000_000
        try:
            client.transact_write_items(
                TransactItems=add_if("race", "n >= :wanted", {":wanted": wanted}, "race-counter")
            )
        except client.exceptions.TransactionCanceledException:
            return 0
        # A plain write between the transactions, which a wrong rollback would lose.
        put(table, f"race-{number}", n=number)
        return 1

    with ThreadPoolExecutor(16) as pool:
        succeeded = sum(pool.map(attempt, range(200)))
    assert succeeded == 100
    assert get(table, "race")["n"] == 100
    assert get(table, "race-counter")["n"] == 100
    assert all(get(table, f"race-{number}") for number in range(1, 200, 2))


def test_only_one_of_many_claims_of_the_same_row_succeeds(table):
    put(table, "claim", n=0)
    client = table.meta.client

    def claim(_):
        try:
            client.transact_write_items(
                TransactItems=add_if("claim", "n = :zero", {":zero": 0}, "claims")
            )
        except client.exceptions.TransactionCanceledException:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(claim, range(50))) == 1
    assert get(table, "claims")["n"] == 1


def test_a_transaction_says_which_of_its_conditions_failed(table):
    client = table.meta.client
    with pytest.raises(client.exceptions.TransactionCanceledException) as failure:
        client.transact_write_items(
            TransactItems=add_if("nobody", "attribute_exists(pk)", {}, "reasons")
        )
    codes = [each["Code"] for each in failure.value.response["CancellationReasons"]]
    assert codes == ["None", "ConditionalCheckFailed"]
    assert get(table, "reasons") is None


def test_a_condition_on_a_missing_row_holds_where_it_should(table):
    table.meta.client.transact_write_items(
        TransactItems=[
            {
                "Put": {
                    "TableName": "jobs",
                    "Item": {"pk": "fresh", "sk": "row", "n": 3},
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            }
        ]
    )
    assert get(table, "fresh") == {"pk": "fresh", "sk": "row", "n": Decimal(3)}


def test_a_write_that_fails_leaves_the_writes_before_it_undone(table):
    put(table, "text", n="seven")
    with pytest.raises(ClientError):
        table.meta.client.transact_write_items(
            TransactItems=add_if("text", "attribute_exists(pk)", {}, "undone")
        )
    assert get(table, "undone") is None
    assert get(table, "text")["n"] == "seven"


def test_two_writes_of_one_row_in_a_transaction_are_refused(table):
    twice = add_if("same", "attribute_exists(pk)", {}, "same")
    with pytest.raises(ClientError, match="multiple operations on one item"):
        table.meta.client.transact_write_items(TransactItems=twice)


def test_a_query_finds_the_rows_in_its_range_and_pages_through_them(table):
    for sk in ("a#1", "b#1", "b#2", "b#3", "c#1"):
        table.put_item(Item={"pk": "ranged", "sk": sk})

    def found(condition, **more):
        answer = table.query(KeyConditionExpression=Key("pk").eq("ranged") & condition, **more)
        return [row["sk"] for row in answer["Items"]], answer.get("LastEvaluatedKey")

    assert found(Key("sk").begins_with("b#")) == (["b#1", "b#2", "b#3"], None)
    assert found(Key("sk").between("b#2", "c#1")) == (["b#2", "b#3", "c#1"], None)
    assert found(Key("sk").gt("b#3"), ScanIndexForward=False) == (["c#1"], None)
    assert found(Key("sk").begins_with("d#")) == ([], None)
    first, place = found(Key("sk").begins_with("b#"), Limit=2)
    assert first == ["b#1", "b#2"]
    assert found(Key("sk").begins_with("b#"), ExclusiveStartKey=place) == (["b#3"], None)


def test_an_index_is_read_by_its_own_keys_in_its_order_and_page_by_page(table):
    for pk, shard, due in (
        ("i", "due#1", 3),
        ("j", "due#1", 1),
        ("k", "due#2", 2),
        ("l", "due#1", 2),
    ):
        put(table, pk, due_shard=shard, due=due)

    def found(shard, **more):
        condition = Key("due_shard").eq(shard) & Key("due").between(1, 9)
        answer = table.query(IndexName="due", KeyConditionExpression=condition, **more)
        return [row["pk"] for row in answer["Items"]], answer.get("LastEvaluatedKey")

    assert found("due#1") == (["j", "l", "i"], None)
    assert found("due#2") == (["k"], None)
    assert found("due#3") == ([], None)
    first, place = found("due#1", Limit=2)
    assert first == ["j", "l"]
    assert found("due#1", ExclusiveStartKey=place) == (["i"], None)


def form_body(fields, file):
    boundary = "----form"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = "".join(parts).encode() + head.encode() + file + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:9999"])
def test_the_page_may_upload_and_read_the_answer(endpoint, origin):
    s3 = boto3.client("s3", endpoint_url=endpoint, **KEYS)
    form = s3.generate_presigned_post("uploads", "a/b")
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = request("OPTIONS", form["url"], headers=asked)
    assert preflight.headers["Access-Control-Allow-Origin"] == origin
    body, kind = form_body(form["fields"], b"pixels")
    answer = request("POST", form["url"], body, {"Content-Type": kind, "Origin": origin})
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert s3.get_object(Bucket="uploads", Key="a/b")["Body"].read() == b"pixels"


def test_another_page_may_not_upload(endpoint):
    asked = {"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "POST"}
    assert request("OPTIONS", f"{endpoint}/uploads", headers=asked).status == 403


def test_values_of_every_type_come_back_as_they_went(table):
    inner = {"S": "a name of a type", "n": Decimal(1), "none": None, "yes": True}
    values = {"list": [1, "a", inner], "map": {"M": inner}, "bytes": b"\0\xff", "set": {"a", "b"}}
    put(table, "typed", **values)
    found = get(table, "typed")
    assert bytes(found["bytes"].value) == values["bytes"]
    assert {name: found[name] for name in ("list", "map", "set")} == {
        name: values[name] for name in ("list", "map", "set")
    }


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("SET a = :v SET b = :v", "can only be used once"),
        ("SET a = :v, a = :v", "Two document paths overlap"),
        ("SET pk = :v", "part of the key"),
        ("SET a = b.c + :v", "does not exist in the item"),
        ("SET a = :v, b = :unknown", "attribute value: :unknown"),
    ],
)
def test_an_update_that_cannot_be_is_refused_each_time(table, expression, reason):
    put(table, "refused", n=1)
    for _ in range(2):
        with pytest.raises(ClientError, match=reason):
            table.update_item(
                Key={"pk": "refused", "sk": "row"},
                UpdateExpression=expression,
                ExpressionAttributeValues={":v": 1},
            )
    assert get(table, "refused") == {"pk": "refused", "sk": "row", "n": 1}


def test_an_expression_does_the_same_to_one_row_after_the_other(table):
    for pk, n in (("first", 1), ("second", 10)):
        put(table, pk, n=n)
        for times in (1, 2):
            table.update_item(
                Key={"pk": pk, "sk": "row"},
                UpdateExpression="SET n = n + :v, m = if_not_exists(m, n)",
                ExpressionAttributeValues={":v": 5},
            )
            assert get(table, pk) == {"pk": pk, "sk": "row", "n": n + 5 * times, "m": n}


def test_clauses_of_every_type_take_effect_in_one_expression(table):
    put(table, "clauses", n=1, gone=1, list=[0, 1, 2, 3], labels={"a", "b"})
    table.update_item(
        Key={"pk": "clauses", "sk": "row"},
        # Elements of a list must be removed from the last to the first, or the indexes shift.
        UpdateExpression="REMOVE gone, #list[0], #list[2] ADD n :v DELETE labels :b SET m = n - :v",
        ExpressionAttributeNames={"#list": "list"},
        ExpressionAttributeValues={":v": 5, ":b": {"b"}},
    )
    found = get(table, "clauses")
    assert found.pop("labels") == {"a"}
    assert found == {"pk": "clauses", "sk": "row", "n": 6, "m": -4, "list": [1, 3]}


def test_a_row_may_not_grow_too_large(table):
    put(table, "large", text="a" * 300_000)
    with pytest.raises(ClientError, match="size"):
        put(table, "larger", text="a" * 410_000)
    with pytest.raises(ClientError, match="size"):
        table.update_item(
            Key={"pk": "large", "sk": "row"},
            UpdateExpression="SET more = :more",
            ExpressionAttributeValues={":more": "a" * 110_000},
        )
    assert get(table, "larger") is None
    assert get(table, "large").keys() == {"pk", "sk", "text"}
    table.update_item(
        Key={"pk": "large", "sk": "row"},
        UpdateExpression="SET n = :n",
        ExpressionAttributeValues={":n": 1},
    )
    assert get(table, "large")["n"] == 1


def test_an_index_by_number_finds_it_however_it_is_written(endpoint):
    attributes = [{"AttributeName": name, "AttributeType": kind} for name, kind in ("sS", "nN")]
    keys = [{"AttributeName": "s", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}]
    index = {
        "IndexName": "by_number",
        "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    made = boto3.resource("dynamodb", endpoint_url=endpoint, **KEYS).create_table(
        TableName="numbers",
        AttributeDefinitions=attributes,
        KeySchema=keys,
        GlobalSecondaryIndexes=[index],
        BillingMode="PAY_PER_REQUEST",
    )
    made.put_item(Item={"s": "a", "n": Decimal("1.0")})
    made.put_item(Item={"s": "b", "n": Decimal(2)})
    found = made.query(IndexName="by_number", KeyConditionExpression=Key("n").eq(1))["Items"]
    assert [each["s"] for each in found] == ["a"]
