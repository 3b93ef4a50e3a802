import dataclasses
import json

import pytest

from config.contract import job_diagram, resources
from config.contract.job import (
    FINAL,
    STATES,
    STEPS,
    TRANSITIONS,
    UNFINISHED,
    Batch,
    InputFile,
    Job,
    Message,
)
from config.contract.writes import Change, move

ROW = Job("b" * 32, "j" * 16, "cat.jpg", 10, "image/jpeg", "queued", 1, 2, notes=("a", "b"))


def test_a_row_survives_the_table():
    assert Job.from_item(ROW.to_item()) == ROW


def test_a_batch_survives_the_table():
    batch = Batch("b", ({"operation": "gaussian", "sigma": 0.1},), "same", 1, 2, 3, "cancel", 4)
    flat = InputFile("input:flat", "c" * 32, "d" * 16, '"e"', "empty.tif", 9)
    batch = dataclasses.replace(batch, inputs=(flat,), version=2)
    assert Batch.from_item(batch.to_item()) == batch
    assert Batch.from_item(dataclasses.replace(batch, quality=70).to_item()).quality == 70
    write = {"layout": "cog", "bytes_max": 9000}
    assert Batch.from_item(dataclasses.replace(batch, write=write).to_item()).write == write
    older = batch.to_item()
    del older["quality"], older["write"]
    assert Batch.from_item(older) == batch


def test_a_message_survives_the_queue():
    message = Message("b", "j", 3)
    assert Message.from_bytes(message.to_bytes()) == message


def test_a_message_says_what_a_worker_must_know():
    assert json.loads(dataclasses.replace(ROW, version=2).message.to_bytes())["version"] == 2
    # An older API, which knew chains only, sent no version.
    assert Message.from_bytes(b'{"batch": "b", "job": "j", "publish": 3}').version == 1


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'{"batch":1}', b"\xff", b'"text"'])
def test_a_strange_message_is_a_value_error(body):
    with pytest.raises(ValueError, match="not a job message"):
        Message.from_bytes(body)


def test_the_error_of_a_strange_message_does_not_show_its_batch():
    # A worker logs the error, and a batch id must not be in a log.
    body = json.dumps({"version": 2, "batch": ROW.batch}).encode()
    with pytest.raises(ValueError, match="not a job message") as caught:
        Message.from_bytes(body)
    assert ROW.batch not in str(caught.value)


def test_every_state_is_either_final_or_not():
    assert sorted(FINAL + UNFINISHED) == sorted(STATES)


def test_a_step_that_no_job_takes_is_refused():
    with pytest.raises(ValueError, match="cannot go from queued to succeeded"):
        move("table", ROW, "succeeded", 5, 6)


@pytest.mark.parametrize("state", STATES)
def test_a_move_changes_the_row_and_both_counters_together(state):
    row = dataclasses.replace(ROW, state=state)
    for to in TRANSITIONS[state]:
        update, *counters = (each["Update"] for each in move("table", row, to, 5, 6))
        assert update["Key"] == {"pk": ROW.batch, "sk": resources.job_sk(ROW.job)}
        assert update["ExpressionAttributeValues"][":when_state"] == state
        assert update["ExpressionAttributeValues"][":state"] == to
        if to == state:
            assert counters == []
        else:
            assert counters[0]["ExpressionAttributeValues"] == {f":n_{state}": -1, f":n_{to}": 1}


def test_a_change_may_ask_for_more_than_the_state():
    change = Change({"attempt": 4}, {"attempt": 3})
    update = move("table", ROW, "running", 5, 6, change)[0]["Update"]
    assert "#attempt = :when_attempt" in update["ConditionExpression"]
    assert update["ExpressionAttributeValues"][":attempt"] == 4


def test_the_diagram_of_the_states_is_drawn_from_the_code():
    text = job_diagram.FILE.read_text()
    assert job_diagram.drawn(text) == text, "run: make generate"
    for state, following in TRANSITIONS.items():
        for to in following:
            assert f"    {state} --> {to}: {STEPS[state][to]}\n" in text


def test_a_file_is_drawn_again_whatever_its_diagram_was(tmp_path):
    file = tmp_path / "page.md"
    file.write_text("before\n```mermaid\nold\nlines\n```\nafter\n")
    job_diagram.write(file)
    lines = file.read_text().splitlines()
    assert lines == ["before", "```mermaid", *job_diagram.diagram(), "```", "after"]
