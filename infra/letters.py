"""`make letters`: list the dead letters with their reasons, or send them back.

With a stack's name it asks the stack's own function, since the broker is private; without one it
does the same here, on the machine of API and site, with that machine's settings.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from config.contract.settings import TOP, SettingError

OUTPUT = "DeadLettersFunction"


class LettersError(Exception):
    """The dead letters could not be reached, in one sentence."""


def main(arguments: list[str]) -> int:
    """List or send; 1 with one sentence if that fails."""
    parser = argparse.ArgumentParser(prog="make letters", description=__doc__)
    parser.add_argument("--stack", help="ask this stack on AWS")
    parser.add_argument("--send", nargs="+", metavar="JOB", help="send these back, or all")
    given = parser.parse_args(arguments)
    order = {"send": "all" if given.send == ["all"] else given.send} if given.send else {}
    try:
        answer = ask_stack(given.stack, order) if given.stack else ask_here(order)
    except (LettersError, SettingError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("\n".join(told(answer)) + "\n")
    return 0


def ask_stack(stack: str, order: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the function of a stack on AWS."""
    found = boto3.client("cloudformation").describe_stacks(StackName=stack)
    outputs = {
        each["OutputKey"]: each["OutputValue"] for each in found["Stacks"][0].get("Outputs", ())
    }
    if OUTPUT not in outputs:
        raise LettersError(f"{stack}: this stack has no output {OUTPUT}; is it the app's?")
    answer = boto3.client("lambda").invoke(
        FunctionName=outputs[OUTPUT], Payload=json.dumps(order).encode()
    )
    body = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise LettersError(f"{stack}: {body.get('errorMessage', 'the function failed')}")
    return dict(body)


def ask_here(order: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the app on this machine."""
    # As in Lambda, where the app's folder is the first on the path.
    sys.path.insert(0, str(TOP / "api"))
    app = importlib.import_module("app")
    return dict(app.dead_letters(dict(order), None))


def told(answer: Mapping[str, Any]) -> list[str]:
    """Write an answer for people."""
    if "letters" not in answer:
        return [", ".join(f"{number} {what}" for what, number in answer.items())]
    if not answer["letters"]:
        return ["no dead letters"]
    return [
        f"{each['job']}  {each['state']:<10} attempts {each['attempts']}, faults {each['faults']}"
        f"  {each['reason'] or each['name'] or 'no such job any more'}"
        for each in answer["letters"]
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
