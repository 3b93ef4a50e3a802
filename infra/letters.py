"""`make letters`: list the dead letters with their reasons, or send them back.

With the name of a stack, it calls a function of the stack, because the broker there is private.
Without a name, it does the same on this machine, which must be that of API and site, with its
settings.
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
    """The dead letters cannot be reached; the message is one sentence for the user."""


def main(arguments: list[str]) -> int:
    """List the dead letters or send them back.

    Returns
    -------
    int
        Exit code: 1, after a sentence, if that fails; else 0.
    """
    parser = argparse.ArgumentParser(prog="make letters", description=__doc__)
    parser.add_argument("--stack", help="ask this stack on AWS")
    parser.add_argument("--send", nargs="+", metavar="JOB", help="send these back, or all")
    given = parser.parse_args(arguments)
    request = {"send": "all" if given.send == ["all"] else given.send} if given.send else {}
    try:
        answer = call_stack(given.stack, request) if given.stack else call_here(request)
    except (LettersError, SettingError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("\n".join(format_answer(answer)) + "\n")
    return 0


def call_stack(stack: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Call the function for dead letters of a stack on AWS, and return its answer.

    Raises
    ------
    LettersError
        If the stack has no such function, or the function fails.
    """
    found = boto3.client("cloudformation").describe_stacks(StackName=stack)
    outputs = {
        each["OutputKey"]: each["OutputValue"] for each in found["Stacks"][0].get("Outputs", ())
    }
    if OUTPUT not in outputs:
        raise LettersError(f"{stack}: this stack has no output {OUTPUT}; is it the app's?")
    answer = boto3.client("lambda").invoke(
        FunctionName=outputs[OUTPUT], Payload=json.dumps(request).encode()
    )
    body = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise LettersError(f"{stack}: {body.get('errorMessage', 'the function failed')}")
    return dict(body)


def call_here(request: Mapping[str, Any]) -> dict[str, Any]:
    """Call the function for dead letters in this process, and return its answer."""
    # In Lambda, too, the app's folder is the first on the path.
    sys.path.insert(0, str(TOP / "api"))
    app = importlib.import_module("app")
    return dict(app.dead_letters(dict(request), None))


def format_answer(answer: Mapping[str, Any]) -> list[str]:
    """Format an answer as lines of text."""
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
