"""The commands of an operator, `make smoke` and `make letters`, on the whole app."""

import json
import os
import subprocess
import sys

import boto3
import pytest
from moto import mock_aws

from config.contract import resources
from config.contract.job import Message
from config.contract.settings import TOP
from infra import letters, restore, smoke
from infra.local.broker import connect
from infra.local.ports import HOST, free_ports
from tests.app import pictures
from tests.client import Client

pytestmark = pytest.mark.slow


def test_a_photograph_comes_back_from_a_site_that_works(app, capsys):
    assert smoke.main([app.url + "/"]) == 0
    assert capsys.readouterr().out.startswith(f"{app.url} works: a photograph came back in ")


def test_a_site_that_is_down_is_one_sentence(capsys):
    (port,) = free_ports(1)
    assert smoke.main([f"http://{HOST}:{port}"]) == 1
    assert capsys.readouterr().err.startswith("self-check: POST failed")


def ask(app, *arguments):
    found = subprocess.run(
        [sys.executable, "-m", "infra.letters", *arguments],
        cwd=TOP,
        env=os.environ | app.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_dead_letters_are_listed_and_sent_back_on_a_machine_of_ones_own(app):
    # A test that failed before may have left some.
    ask(app, "--send", "all")
    assert ask(app) == "no dead letters\n"
    connection = connect(app.environment["BROKER_URL"])
    channel = connection.channel()
    channel.confirm_delivery()
    letter = Message("0" * 32, "1" * 16, 1)
    channel.basic_publish("", resources.DEAD_LETTERS.name, letter.to_bytes(), mandatory=True)
    connection.close()
    assert "1111111111111111  deleted" in ask(app)
    assert ask(app, "--send", "all") == "0 sent, 1 dropped, 0 left\n"
    assert ask(app) == "no dead letters\n"


def test_a_batch_whose_rows_were_lost_is_there_again_after_a_restore(app):
    names = ("AWS_ENDPOINT_URL", "AWS_REGION", "TABLE")
    url, region, table = (app.environment[name] for name in names)
    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    rows = boto3.client("dynamodb", endpoint_url=url, region_name=region, **keys)
    with Client(app.url) as client:
        batch, jobs = client.submit(
            pictures.BLUR, [("kept.png", "image/png", pictures.png(pictures.small(1)))]
        )
        done = client.wait(batch, len(jobs))
        rows.create_table(TableName="restored", **resources.TABLE_SCHEMA)
        restore.copy_rows(rows, table, "restored")
        for each in rows.scan(TableName=table)["Items"]:
            if each["pk"]["S"] == batch:
                rows.delete_item(TableName=table, Key={name: each[name] for name in ("pk", "sk")})
        assert client.call("GET", f"/batches/{batch}")[0] == 404
        copied, _ = restore.copy_rows(rows, "restored", table)
        assert copied >= 2
        assert restore.copy_rows(rows, "restored", table).copied == 0
        assert client.wait(batch, len(jobs)).keys() == done.keys()
        found = pictures.pixels(client.download(done[jobs[0]]))
        pictures.assert_blurred(found, pictures.small(1))
    rows.delete_table(TableName="restored")


def test_a_restore_into_the_same_table_is_refused(capsys):
    with pytest.raises(SystemExit):
        restore.main(["dip-jobs", "dip-jobs"])
    assert "must be two tables" in capsys.readouterr().err


def test_a_stack_is_asked_by_its_function(monkeypatch, capsys):
    answers = {"letters": [{"job": "a", "state": "failed", "attempts": 3, "faults": 2}]}
    answers["letters"][0] |= {"reason": "a rank died twice", "name": "a.png"}
    asked = []

    class Clients:
        def describe_stacks(self, **_):
            outputs = [{"OutputKey": "DeadLettersFunction", "OutputValue": "f"}]
            return {"Stacks": [{"Outputs": outputs}]}

        def invoke(self, **call):
            asked.append((call["FunctionName"], json.loads(call["Payload"])))
            body = json.dumps(answers).encode()
            return {"Payload": type("Body", (), {"read": lambda self: body})()}

    monkeypatch.setattr(boto3, "client", lambda _: Clients())
    assert letters.main(["--stack", "dip", "--send", "a"]) == 0
    assert asked == [("f", {"send": ["a"]})]
    assert "a rank died twice" in capsys.readouterr().out


def test_a_stack_that_is_not_there_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        assert letters.main(["--stack", "nothing"]) == 1
    assert "nothing" in capsys.readouterr().err
