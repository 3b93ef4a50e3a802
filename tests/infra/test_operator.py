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
from infra import letters, smoke
from infra.local.broker import connect
from infra.local.ports import HOST, free_ports

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
