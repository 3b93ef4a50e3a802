"""Conditions and numbers of the DynamoDB of one machine."""

import pytest

from infra.local.store.errors import Invalid
from infra.local.store.expressions import Scope, holds
from infra.local.store.parser import parse_condition
from infra.local.store.values import checked

ROW = {
    "state": {"S": "queued"},
    "n": {"N": "7"},
    "tags": {"SS": ["a", "b"]},
    "nested": {"M": {"members": {"L": [{"N": "1"}, {"S": "x"}]}}},
}
VALUES = {":q": {"S": "queued"}, ":six": {"N": "6"}, ":nine": {"N": "9.0"}, ":a": {"S": "a"}}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("#s = :q AND n BETWEEN :six AND :nine", True),
        ("NOT #s = :q OR (n > :nine AND attribute_exists(n))", False),
        ("#s IN (:a, :q)", True),
        ("attribute_not_exists(nested.members[2]) AND attribute_exists(nested.members[1])", True),
        ("contains(tags, :a) AND begins_with(#s, :a)", False),
        ("size(tags) < :six", True),
        ("gone = :a", False),
        ("gone <> :a", True),
        ("n < :a", False),
    ],
)
def test_a_condition_holds_as_dynamodb_says(condition, expected):
    assert holds(parse_condition(condition), ROW, Scope({"#s": "state"}, VALUES)) is expected


@pytest.mark.parametrize(
    "text", ["#s =", "a = :q AND", "a ! :q", "(a = :q", "a = :q b", ":gone = a"]
)
def test_a_condition_that_cannot_be_read_is_refused(text):
    with pytest.raises(Invalid):
        holds(parse_condition(text), ROW, Scope({"#s": "state"}, VALUES))


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("007", "7"),
        ("-0", "0"),
        ("1.50", "1.5"),
        ("1e3", "1000"),
        (".5", "0.5"),
        ("+2.", "2"),
        ("1e-130", "0." + "0" * 129 + "1"),
        ("9" * 38, "9" * 38),
    ],
)
def test_a_number_is_kept_as_dynamodb_writes_it(sent, kept):
    assert checked({"N": sent}) == {"N": kept}
