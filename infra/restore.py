"""`make restore`: copy the rows of a restored table into the app's table.

DynamoDB restores a table to any second of the last 35 days, under another name. This copies its
rows into the table that the app uses. Rows that are there already are newer, and stay.
"""

import argparse
import sys
from typing import Any, NamedTuple

import boto3
from botocore.exceptions import BotoCoreError, ClientError

EXISTS = "ConditionalCheckFailedException"


class Copied(NamedTuple):
    """How many rows were copied, and how many were there already."""

    copied: int
    kept: int


def main(arguments: list[str]) -> int:
    """Copy the rows; return the exit code: 1, after a sentence, if that fails; else 0."""
    parser = argparse.ArgumentParser(prog="make restore", description=__doc__)
    parser.add_argument("source", help="the restored table")
    parser.add_argument("target", help="the app's table")
    given = parser.parse_args(arguments)
    if given.source == given.target:
        parser.error(f"{given.source}: source and target must be two tables")
    try:
        copied, kept = copy_rows(boto3.client("dynamodb"), given.source, given.target)
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{copied} rows copied; {kept} were there already, and stay as they are\n")
    return 0


def copy_rows(client: Any, source: str, target: str) -> Copied:
    """Copy the rows that the target lacks.

    Parameters
    ----------
    client : object
        boto3's client for DynamoDB.
    source, target : str
        Names of the tables.

    Returns
    -------
    Copied
        Numbers of rows.

    Raises
    ------
    BotoCoreError, ClientError
        If DynamoDB refuses it; run again, it goes on where it was.
    """
    copied = kept = 0
    for page in client.get_paginator("scan").paginate(TableName=source):
        for item in page["Items"]:
            try:
                client.put_item(
                    TableName=target, Item=item, ConditionExpression="attribute_not_exists(pk)"
                )
                copied += 1
            except ClientError as error:
                if error.response["Error"]["Code"] != EXISTS:
                    raise
                kept += 1
    return Copied(copied, kept)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
