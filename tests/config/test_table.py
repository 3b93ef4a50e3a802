"""The client of the table, most of it as a worker uses it, on a DynamoDB over HTTP."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from botocore.awsrequest import AWSResponse

from cluster_worker.errors import Broken
from cluster_worker.node import storage as storage_module
from cluster_worker.node.table import job_table
from config.contract import lane_share, resources
from config.contract.job import Job, Message, changed_at
from config.contract.table import JobTable, MovedOn
from config.contract.table_access import Patience
from tests.config.conftest import BATCH, KEPT, NOW, TABLE, settings_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

JOB = "c" * 16
KEYS = (resources.BATCH_SK, resources.job_sk(JOB))

CONFLICT = (
    AWSResponse("", 400, {}, None),
    {
        "Error": {"Code": "TransactionCanceledException", "Message": ""},
        "CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}],
        "ResponseMetadata": {},
    },
)


@pytest.fixture
def queued(table, dynamodb):
    return put(dynamodb, Job(BATCH, JOB, "cat.png", 9, "image/png", "queued", NOW, KEPT, publish=1))


@pytest.fixture
def runner(table):
    """A runner that claims jobs and does nothing else."""
    from cluster_worker.node.runner import Runner  # loads the engine, which takes seconds

    return Runner(settings_for(""), None, None, table, None, "node 1")


class NoUpload:
    """A file that nobody wants; tells of whom it was asked for."""

    def __init__(self):
        self.begun = []

    def begin(self, row):
        self.begun.append(row.job)


def now():
    return NOW


def put(dynamodb, row):
    """Put a row as if it had just reached its state."""
    dynamodb.put_item(TableName=TABLE, Item=row.to_item() | {"changed": changed_at(NOW, row.job)})
    dynamodb.update_item(**counted(row, 1))
    return row


def counted(row, by):
    return {
        "TableName": TABLE,
        "Key": {"pk": row.batch, "sk": resources.counter_sk(row.job)},
        "UpdateExpression": "ADD #n :by",
        "ExpressionAttributeNames": {"#n": f"n_{row.state}"},
        "ExpressionAttributeValues": {":by": by},
    }


def counts(dynamodb):
    """States that have jobs, over all counter rows."""
    total = {}
    for shard in range(resources.COUNTER_SHARDS):
        key = {"pk": BATCH, "sk": f"{resources.COUNTER_PREFIX}{shard}"}
        for name, value in dynamodb.get_item(TableName=TABLE, Key=key).get("Item", {}).items():
            if name.startswith("n_"):
                total[name[2:]] = total.get(name[2:], 0) + int(value)
    return {state: number for state, number in total.items() if number}


def command(dynamodb, what):
    dynamodb.update_item(
        TableName=TABLE,
        Key={"pk": BATCH, "sk": resources.BATCH_SK},
        UpdateExpression="SET #command = :what",
        ExpressionAttributeNames={"#command": "command"},
        ExpressionAttributeValues={":what": what},
    )


def test_rows_are_read_as_they_stand(table, queued):
    assert table.job(BATCH, JOB).state == "queued"
    assert table.batch(BATCH).steps == ({"operation": "invert"},)
    assert table.job(BATCH, "0" * 16) is None
    assert table.batch("0" * 32) is None


def test_a_job_and_its_batch_are_read_together(table, queued):
    assert table.batch_and_job(BATCH, JOB) == (table.batch(BATCH), table.job(BATCH, JOB))
    assert table.batch_and_job(BATCH, "0" * 16) == (table.batch(BATCH), None)
    assert table.batch_and_job("0" * 32, JOB) == (None, None)


def test_rows_that_there_is_no_capacity_for_together_are_read_one_by_one(table, queued):
    def refuse(**_):
        return AWSResponse("", 200, {}, None), {
            "Responses": {TABLE: []},
            "UnprocessedKeys": {
                TABLE: {"Keys": [{"pk": {"S": BATCH}, "sk": {"S": sk}} for sk in KEYS]}
            },
            "ResponseMetadata": {},
        }

    table.access.client.meta.events.register("before-call.dynamodb.BatchGetItem", refuse)
    assert table.batch_and_job(BATCH, JOB) == (table.batch(BATCH), table.job(BATCH, JOB))


def test_a_batch_is_read_once_and_its_cancel_is_noticed_all_the_same(
    runner, table, dynamodb, queued
):
    upload = NoUpload()
    read = []
    for call in ("GetItem", "BatchGetItem"):
        table.access.client.meta.events.register(
            f"provide-client-params.dynamodb.{call}", lambda model, **_: read.append(model.name)
        )
    others = [put(dynamodb, replace(queued, job=f"{i}" * 16)) for i in range(2)]
    for row in (queued, others[0]):
        claimed, batch = runner.claim(Message(row.batch, row.job, row.publish), upload)
        assert (claimed.state, batch.steps) == ("running", ({"operation": "invert"},))
    assert read == ["BatchGetItem", "GetItem"]
    command(dynamodb, "cancel")
    message = Message(others[1].batch, others[1].job, others[1].publish)
    assert runner.claim(message, upload) is None
    assert table.job(BATCH, others[1].job).state == "cancelled"
    # The batch that is remembered is not known to be cancelled; a claim finds that out.
    assert upload.begun == [JOB, others[0].job, others[1].job]


def test_a_batch_to_be_cancelled_is_read_again_for_the_next_job(runner, table, dynamodb, queued):
    command(dynamodb, "cancel")
    upload = NoUpload()
    assert runner.claim(Message(BATCH, JOB, 1), upload) is None
    assert upload.begun == []
    command(dynamodb, "")
    other = put(dynamodb, replace(queued, job="0" * 16))
    assert runner.claim(Message(BATCH, other.job, 1), NoUpload()) is not None


def test_a_claim_is_a_new_attempt_with_a_heartbeat_due(table, dynamodb, queued):
    claimed = table.claim(queued, "node 1", NOW + 5)
    assert claimed == table.job(BATCH, JOB)
    assert (claimed.state, claimed.attempt, claimed.started) == ("running", 1, NOW + 5)
    assert claimed.due == NOW + 5 + 60_000
    assert claimed.changed == changed_at(NOW + 5, JOB)
    assert counts(dynamodb) == {"running": 1}
    item = dynamodb.get_item(TableName=TABLE, Key={"pk": BATCH, "sk": resources.job_sk(JOB)})[
        "Item"
    ]
    assert item["worker"] == "node 1"


def test_the_highest_ticket_that_was_claimed_tells_how_far_its_lane_has_come(
    table, dynamodb, queued
):
    table.claim(replace(queued, ticket=7), "node", NOW)
    assert table.served == {"interactive": 7, "bulk": 0}
    again = table.job(BATCH, JOB)
    table.claim(replace(again, ticket=3), "node", NOW)
    assert table.served["interactive"] == 7


def test_a_taken_message_releases_waiting_jobs_as_far_as_there_is_room(table, dynamodb):
    # Jobs that are counted in one row, so that they have the same part of the lane share.
    names = [
        name
        for n in range(99)
        if resources.shard(name := f"{n:016}", resources.COUNTER_SHARDS) == 0
    ]
    waiting = [
        put(
            dynamodb,
            Job(
                BATCH, name, "a.png", 9, "image/png", "queued", NOW, KEPT, lane="bulk", waiting=True
            ),
        )
        for name in names[:4]
    ]
    for at, row in enumerate(waiting):
        dynamodb.put_item(**lane_share.line_of(TABLE, row, NOW + at)["Put"])
    table.share = 2
    table.cancel(waiting[0], now)
    assert [message.job for message in table.release(waiting[0], now, table.lapse_ms)] == names[1:3]
    assert list(table.release(waiting[0], now, table.lapse_ms)) == []
    row = table.job(BATCH, names[1])
    assert (row.waiting, row.publish, row.published_at, row.ticket) == (False, 1, 0, 1)
    assert not table.mark_published(Message(BATCH, names[1], 2), NOW + 6)
    assert table.mark_published(Message(BATCH, names[1], 1), NOW + 7)
    assert table.job(BATCH, names[1]).published_at == NOW + 7
    # A claim makes room for one more.
    table.claim(table.job(BATCH, names[2]), "node", NOW)
    assert [message.job for message in table.release(waiting[0], now, table.lapse_ms)] == names[3:4]
    assert counts(dynamodb) == {"cancelled": 1, "queued": 2, "running": 1}


@pytest.mark.parametrize("way", ["an upload", "a move to bulk"])
def test_a_job_does_not_wait_for_a_message_that_is_taken_at_the_same_time(table, dynamodb, way):
    table.share = 1
    # Jobs whose messages are counted in one row.
    taken, late = [
        name
        for n in range(99)
        if resources.shard(name := f"{n:016}", resources.COUNTER_SHARDS) == 0
    ][:2]
    new = Job(BATCH, taken, "a.png", 9, "image/png", "awaiting_upload", NOW, KEPT, lane="bulk")
    out = table.queue(put(dynamodb, new), {}, NOW, now)
    look = table.published

    def look_and_claim(row):
        found = look(row)
        if table.claim(out, "node", NOW):
            assert list(table.release(out, now, table.lapse_ms)) == []
        return found

    table.published = look_and_claim
    row = replace(new, job=late)
    if way == "an upload":
        moved = table.queue(put(dynamodb, row), {}, NOW, now)
    else:
        row = replace(row, lane="interactive", state="running", attempt=1)
        moved = table.move_to_bulk(put(dynamodb, row), NOW)
    assert (moved.state, moved.lane, moved.waiting) == ("queued", "bulk", False)
    assert look(moved) == 1
    assert table.first_lines(moved) == []


def test_of_many_workers_one_claims_a_job(table, dynamodb, queued):
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda n: table.claim(queued, f"node {n}", NOW), range(8)))
    assert sum(each is not None for each in claimed) == 1
    assert table.job(BATCH, JOB).attempt == 1
    assert counts(dynamodb) == {"running": 1}


def test_a_running_job_is_taken_over_and_its_former_holder_hears_of_it(table, dynamodb, queued):
    former = table.claim(queued, "node 1", NOW)
    holder = table.claim(former, "node 2", NOW + 1)
    assert holder.attempt == 2
    assert not table.progress(former, 1, 8, 500, NOW + 2)
    assert not table.succeed(former, NOW + 2, result_key="k")
    assert not table.fail(former, "no", "broken", NOW + 2)
    assert not table.hand_back(former, NOW + 2)
    assert table.add_fault(former, NOW + 2) is None
    assert table.progress(holder, 1, 8, 500, NOW + 2)
    assert counts(dynamodb) == {"running": 1}


@pytest.mark.parametrize("what", ["cancel", "delete"])
def test_a_job_of_a_batch_that_is_to_end_is_not_claimed(table, dynamodb, queued, what):
    command(dynamodb, what)
    assert table.claim(queued, "node 1", NOW) is None
    command(dynamodb, "retry")
    assert table.claim(queued, "node 1", NOW) is not None


def test_a_row_that_was_published_again_since_it_was_read_is_not_claimed(table, dynamodb, queued):
    put(dynamodb, replace(queued, publish=2))
    assert table.claim(queued, "node 1", NOW) is None


def test_progress_is_seen_and_puts_the_sweep_off(table, queued):
    claimed = table.claim(queued, "node 1", NOW)
    assert table.progress(claimed, 3, 8, 500, NOW + 700)
    row = table.job(BATCH, JOB)
    assert (row.tiles_done, row.tiles_total, row.left_ms) == (3, 8, 500)
    assert (row.changed, row.due) == (changed_at(NOW + 700, JOB), NOW + 700 + 60_000)


def test_a_cancelled_job_takes_no_progress_and_no_result(table, dynamodb, queued):
    claimed = table.claim(queued, "node 1", NOW)
    assert table.cancel(claimed, now).state == "cancelled"
    assert not table.progress(claimed, 1, 2, 500, NOW + 2)
    assert not table.succeed(claimed, NOW + 2, result_key="k")
    assert table.job(BATCH, JOB).state == "cancelled"
    assert counts(dynamodb) == {"cancelled": 1}
    with pytest.raises(MovedOn):
        table.cancel(table.job(BATCH, JOB), now)


def test_success_names_the_winners_result(table, dynamodb, queued):
    claimed = table.claim(queued, "node 1", NOW)
    result = {
        "result_key": resources.result_key(BATCH, JOB, 1, "png"),
        "result_name": "cat.png",
        "result_type": "image/png",
        "result_bytes": 99,
        "rows": 4,
        "columns": 5,
        "notes": ["transparency dropped"],
    }
    assert table.succeed(claimed, NOW + 9, **result)
    row = table.job(BATCH, JOB)
    assert row == replace(
        claimed,
        **result | {"notes": ("transparency dropped",)},
        state="succeeded",
        finished=NOW + 9,
        due=KEPT,
        changed=changed_at(NOW + 9, JOB),
    )
    assert counts(dynamodb) == {"succeeded": 1}


def test_success_stands_though_the_sweep_published_the_job_again(table, dynamodb, queued):
    claimed = table.claim(queued, "node 1", NOW)
    dynamodb.put_item(TableName=TABLE, Item=replace(claimed, publish=2).to_item())
    assert table.succeed(claimed, NOW + 9, result_key="k")
    assert table.job(BATCH, JOB).state == "succeeded"
    assert counts(dynamodb) == {"succeeded": 1}


def test_failure_has_a_reason_and_a_cause(table, dynamodb, queued):
    claimed = table.claim(queued, "node 1", NOW)
    assert table.fail(claimed, "cat.png: the file is empty", "rejected", NOW + 9)
    row = table.job(BATCH, JOB)
    assert (row.state, row.reason, row.cause) == (
        "failed",
        "cat.png: the file is empty",
        "rejected",
    )
    assert (row.finished, row.due) == (NOW + 9, KEPT)
    assert counts(dynamodb) == {"failed": 1}


def test_a_job_handed_back_costs_nothing_and_can_be_claimed_again(table, dynamodb, queued):
    claimed = table.claim(queued, "node 1", NOW)
    table.progress(claimed, 3, 8, 500, NOW + 1)
    assert table.hand_back(claimed, NOW + 2)
    row = table.job(BATCH, JOB)
    assert (row.state, row.publish, row.faults, row.tiles_done) == ("queued", 1, 0, 0)
    assert row.due == NOW + 2 + 60_000
    assert counts(dynamodb) == {"queued": 1}
    assert table.claim(row, "node 2", NOW + 3).attempt == 2


def test_faults_are_counted_over_attempts(table, queued):
    first = table.add_fault(table.claim(queued, "node 1", NOW), NOW + 1)
    assert (first.faults, first.state) == (1, "running")
    assert table.hand_back(first, NOW + 2)
    again = table.claim(table.job(BATCH, JOB), "node 1", NOW + 3)
    assert table.add_fault(again, NOW + 4).faults == 2


def test_the_counters_hold_when_many_jobs_move_at_once(table, dynamodb):
    jobs = [Job(BATCH, f"{n:016x}", "a", 9, "", "queued", NOW, KEPT, publish=1) for n in range(40)]
    for each in jobs:
        put(dynamodb, each)
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda row: table.claim(row, "node", NOW), jobs))
        assert all(pool.map(lambda row: table.succeed(row, NOW, result_key="k"), claimed))
    assert counts(dynamodb) == {"succeeded": 40}


def test_a_write_that_meets_anothers_is_made_again(table, dynamodb, queued, monkeypatch):
    monkeypatch.setattr(Patience, "pause", lambda *_: None)
    refusals = [CONFLICT, CONFLICT]
    # This table knows no conflicts: an answer is given in place of its own, and nothing written.
    table.access.client.meta.events.register(
        "before-call.dynamodb.TransactWriteItems",
        lambda **given: refusals.pop() if refusals else None,
    )
    assert table.claim(queued, "node 1", NOW).attempt == 1
    assert not refusals
    assert counts(dynamodb) == {"running": 1}


def test_a_table_that_is_away_is_the_nodes_fault(monkeypatch, endpoint):
    monkeypatch.setattr(storage_module, "TRIES", 1)
    away = job_table(settings_for("http://127.0.0.1:9"))
    row = Job(BATCH, JOB, "cat.png", 9, "image/png", "running", NOW, KEPT, attempt=1)
    with pytest.raises(Broken, match="the table does not answer"):
        away.job(BATCH, JOB)
    with pytest.raises(Broken, match="the table does not answer"):
        away.progress(row, 1, 2, 500, NOW)
    with pytest.raises(Broken, match="the table does not answer"):
        away.hand_back(row, NOW)


def test_a_table_that_is_not_there_is_the_nodes_fault(endpoint):
    table = job_table(replace(settings_for(endpoint), table="none"))
    with pytest.raises(Broken, match="the table: GetItem: ResourceNotFoundException"):
        table.job(BATCH, JOB)


def test_a_ticket_that_cannot_be_drawn_is_reported_and_fails_nothing(endpoint, dynamodb):
    reported = []
    table = JobTable(
        dynamodb, "none", on_no_ticket=lambda lane, error: reported.append((lane, error))
    )
    assert table.draw_ticket("bulk") == 0
    ((lane, error),) = reported
    assert (lane, error.response["Error"]["Code"]) == ("bulk", "ResourceNotFoundException")


def test_a_cancel_is_written_whatever_happened_to_the_job_meanwhile(table, dynamodb, queued):
    claimed = table.claim(queued, "node 1", NOW)
    assert table.cancel(queued, now).attempt == claimed.attempt
    assert counts(dynamodb) == {"cancelled": 1}


def test_a_job_is_given_up_only_as_it_was_read(table, dynamodb, queued):
    claimed = table.claim(queued, "node 1", NOW)
    assert not table.give_up(queued, "no worker survives it", "broken", NOW)
    assert table.give_up(claimed, "no worker survives it", "broken", NOW)
    assert counts(dynamodb) == {"failed": 1}
