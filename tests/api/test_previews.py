import base64
import hashlib
import json
import threading
import time
from functools import partial

import pika
import pytest
from chalicelib import previews
from chalicelib.preview_schemas import PREVIEW_CONTENT_MAX

from config.contract import resources
from config.contract.preview import CONTENT_BYTES_MAX, Answer, Question
from config.contract.settings import TOP

PICTURE = b"\x89PNG\r\n\x1a\n and pixels"
HASH = hashlib.sha256(PICTURE).hexdigest()
STEPS = [{"operation": "invert"}]
TABLE = {
    "id": "2",
    "operation": "image_statistics",
    "rows": 1,
    "columns": [{"name": "mean", "unit": "value"}],
    "first": [[None]],
}


@pytest.fixture(autouse=True)
def no_idle_connections():
    yield
    while not previews._idle.empty():
        previews._idle.get().close()


def body(**change):
    content = base64.b64encode(PICTURE).decode()
    return {"steps": STEPS, "picture": HASH, "content": content, **change}


def answering(queues, answer):
    """Answer the next question as a worker would."""
    asked = []

    def work():
        for _method, properties, question in queues.channel.consume(
            resources.PREVIEWS.name, auto_ack=True, inactivity_timeout=20
        ):
            if question:
                asked.append(Question.from_bytes(question))
                key = type(properties)(correlation_id=properties.correlation_id)
                queues.channel.basic_publish("", properties.reply_to, answer.to_bytes(), key)
            break
        queues.channel.cancel()

    thread = threading.Thread(target=work)
    thread.start()
    # The API asks nobody while nobody consumes.
    with pika.BlockingConnection(pika.URLParameters(queues.url)) as connection:
        channel, until = connection.channel(), time.monotonic() + 20
        declare = partial(channel.queue_declare, resources.PREVIEWS.name, passive=True)
        while declare().method.consumer_count == 0:
            assert time.monotonic() < until
    return thread, asked


def test_a_preview_is_answered_with_its_picture(api, queues):
    thread, asked = answering(
        queues, Answer(b"a PNG", margin=3, image_kind="labels", tables=(TABLE,))
    )
    status, found = api.post("/previews", body())
    thread.join(20)
    wanted = {"url": "data:image/png;base64," + "YSBQTkc=", "margin": 3}
    assert (status, found) == (
        200,
        wanted | {"image_kind": "labels", "tables": [TABLE], "file": None},
    )
    assert asked == [Question(HASH, PICTURE, ({"operation": "invert"},))]


def test_a_preview_may_say_how_its_file_is_read(api, queues):
    file = {"kind": "labels", "axes": [{"axis": "z", "planes": 5}]}
    thread, asked = answering(queues, Answer(b"a PNG", file=file))
    status, found = api.post("/previews", body() | {"read": {"z": "3", "kind": "labels"}})
    thread.join(20)
    assert (status, found["file"]) == (200, file)
    assert asked[0].read == {"z": "3", "kind": "labels"}


def test_values_are_told_apart_from_pictures(api, queues):
    thread, _ = answering(queues, Answer(b"DIPV and values", margin=None))
    status, found = api.post("/previews", body())
    thread.join(20)
    content = base64.b64encode(b"DIPV and values").decode()
    assert status == 200
    assert found["url"] == f"data:application/x-image-values;base64,{content}"


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (Answer(reason="too dark"), 422, "too dark"),
        (Answer(), 404, "send its content with the request"),
        (Answer(reason="the preview failed here", retry_seconds=1), 503, "failed here"),
    ],
)
def test_a_worker_that_cannot_says_why(api, queues, answer, status, words):
    thread, _ = answering(queues, answer)
    found, problem = api.post("/previews", body())
    thread.join(20)
    assert found == status
    assert words in problem["detail"]


def test_without_a_worker_a_preview_fails_at_once_and_says_when_to_ask_again(api):
    headers = {"Content-Type": "application/json"}
    began = time.monotonic()
    answer = api.http.post("/previews", headers=headers, body=json.dumps(body()).encode())
    assert time.monotonic() - began < resources.PREVIEW_SECONDS
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.json_body["detail"] == "no worker is free for a preview; try again"


def test_the_largest_picture_fits_into_a_message_and_into_an_answer():
    longest = base64.b64decode("A" * PREVIEW_CONTENT_MAX)
    assert len(Question(HASH, longest, STEPS).to_bytes()) < resources.MESSAGE_BYTES_MAX
    answer = Answer(bytes(CONTENT_BYTES_MAX), margin=10)
    assert len(answer.to_bytes()) < resources.MESSAGE_BYTES_MAX
    assert Answer.from_bytes(answer.to_bytes()) == answer
    # Lambda's limit, with some room for the rest of the answer.
    assert len(base64.b64encode(answer.content)) < 6_000_000


def test_a_broker_of_ones_own_takes_messages_of_that_size():
    """Those of Amazon MQ are tested with the stack."""
    line = f"max_message_size = {resources.MESSAGE_BYTES_MAX}"
    assert line in (TOP / "config" / "systemd" / "rabbitmq.conf").read_text().splitlines()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"picture": "0" * 64}, "picture: is not the SHA-256 of the content"),
        ({"picture": "x"}, 'picture: must be a SHA-256 in 64 hexadecimal digits, got "x"'),
        ({"content": "?"}, "content: must be base64"),
        ({"content": "é"}, "content: must be base64"),
        ({"steps": [{"operation": "none"}]}, 'steps[0].operation: no operation is called "none"'),
    ],
)
def test_a_request_at_fault_reaches_no_worker(api, change, sentence):
    status, problem = api.post("/previews", body(**change))
    assert status == 422
    assert problem["detail"].startswith(sentence)


def test_large_batches_go_by_the_bulk_lane_beyond_their_first_images(api, queues):
    batch, jobs = api.batch(*(f"{number}.png" for number in range(49)))
    more = {"images": [{"name": "x.png", "bytes": 100, "type": "image/png"}] * 2}
    _, added = api.post(f"/batches/{batch}/jobs", more)
    lanes = [api.row(batch, job["job"]).lane for job in added["jobs"]]
    assert lanes == ["interactive", "bulk"]
    assert api.row(batch, jobs[0]).lane == "interactive"
    job = added["jobs"][1]["job"]
    api.arrive(batch, job)
    api.post(f"/batches/{batch}/jobs/{job}/uploaded")
    assert [message.job for message in queues.take(resources.BULK)] == [job]
