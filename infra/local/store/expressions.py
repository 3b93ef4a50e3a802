"""DynamoDB's expressions: conditions, updates and projections, parsed and evaluated.

Values have DynamoDB's form with a type, such as ``{"S": "text"}`` and ``{"N": "1"}``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

Value = dict[str, Any]
Item = dict[str, Value]
# An operation and its operands: a tree, as tuples.
Node = tuple[Any, ...]

# Parsed expressions in a cache; the app writes some dozens.
PARSED_MAX = 1024
TOKEN = re.compile(r"\s*(?:([#:]?\w[\w-]*|[#:][\w-]+)|(<=|>=|<>|[=<>(),.\[\]+-]))")
COMPARISONS = {"=", "<>", "<", "<=", ">", ">="}
FUNCTIONS = {
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "contains",
}
CLAUSES = ("SET", "REMOVE", "ADD", "DELETE")
SETS = {"SS", "NS", "BS"}


class ExpressionError(ValueError):
    """DynamoDB would refuse the expression; the message is the reason."""


@dataclass(frozen=True)
class Scope:
    """The names and the values that an expression refers to."""

    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)

    def name(self, token: str) -> str:
        """Return the attribute that a token names."""
        if not token.startswith("#"):
            return token
        if token not in self.names:
            raise ExpressionError(f"An expression attribute name is not defined: {token}")
        return self.names[token]

    def value(self, token: str) -> Value:
        """Return the value that a token stands for."""
        if token not in self.values:
            raise ExpressionError(
                f"An expression attribute value used in expression is not defined; "
                f"attribute value: {token}"
            )
        return self.values[token]


class Parser:
    """A parser by recursive descent over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = split(text)
        self.at = 0

    def peek(self) -> str:
        """Return the next token; empty at the end."""
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def next(self) -> str:
        """Return the next token and go behind it."""
        token = self.peek()
        self.at += 1
        return token

    def accept(self, *wanted: str) -> str:
        """Go behind the next token if it is one of these, in any case; return it in upper case."""
        token = self.peek().upper()
        if token not in wanted:
            return ""
        self.at += 1
        return token

    def expect(self, wanted: str) -> None:
        """Go behind the next token, which must be this one."""
        if not self.accept(wanted):
            raise ExpressionError(
                f'Syntax error; expected "{wanted}", found "{self.peek()}" in "{self.text}"'
            )

    def end(self) -> None:
        """Raise if there are more tokens."""
        if self.peek():
            raise ExpressionError(f'Syntax error; token "{self.peek()}" in "{self.text}"')

    def condition(self) -> Node:
        """Parse conditions that are joined by OR."""
        node = self.conjunction()
        while self.accept("OR"):
            node = ("or", node, self.conjunction())
        return node

    def conjunction(self) -> Node:
        """Parse conditions that are joined by AND."""
        node = self.negation()
        while self.accept("AND"):
            node = ("and", node, self.negation())
        return node

    def negation(self) -> Node:
        """Parse one condition, which NOT may precede."""
        return ("not", self.negation()) if self.accept("NOT") else self.comparison()

    def comparison(self) -> Node:
        """Parse a condition in parentheses, a call of a function, or a comparison."""
        if self.accept("("):
            node = self.condition()
            self.expect(")")
            return node
        if self.peek() in FUNCTIONS:
            return self.call()
        left = self.operand()
        if self.accept("BETWEEN"):
            low = self.operand()
            self.expect("AND")
            return ("between", left, low, self.operand())
        if self.accept("IN"):
            self.expect("(")
            return ("in", left, self.listed())
        sign = self.next()
        if sign not in COMPARISONS:
            raise ExpressionError(f'Syntax error; token "{sign}" in "{self.text}"')
        return ("compare", sign, left, self.operand())

    def call(self) -> Node:
        """Parse a call of a function."""
        name = self.next()
        self.expect("(")
        return (name, *self.listed())

    def listed(self) -> tuple[Node, ...]:
        """Parse operands up to a closing parenthesis."""
        found = [self.operand()]
        while self.accept(","):
            found.append(self.operand())
        self.expect(")")
        return tuple(found)

    def operand(self) -> Node:
        """Parse a path, a value, or a function that gives a value."""
        token = self.peek()
        if token.startswith(":"):
            return ("value", self.next())
        following = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else ""
        if token in {"size", "if_not_exists", "list_append"} and following == "(":
            return self.call()
        return ("path", self.path())

    def path(self) -> tuple[str | int, ...]:
        """Parse the path of an attribute: names and indexes of lists."""
        token = self.next()
        if not re.fullmatch(r"#[\w-]+|[A-Za-z_]\w*", token):
            raise ExpressionError(f'Syntax error; token "{token}" in "{self.text}"')
        found: list[str | int] = [token]
        while True:
            if self.accept("."):
                found.append(self.next())
            elif self.accept("["):
                found.append(int(self.next()))
                self.expect("]")
            else:
                return tuple(found)

    def update(self) -> tuple[Node, ...]:
        """Parse the clauses of an update into actions."""
        actions: list[Node] = []
        seen: set[str] = set()
        while clause := self.accept(*CLAUSES):
            if clause in seen:
                raise ExpressionError(
                    f'The "{clause}" section can only be used once in an update expression'
                )
            seen.add(clause)
            actions.append(self.action(clause))
            while self.accept(","):
                actions.append(self.action(clause))
        self.end()
        return tuple(actions)

    def action(self, clause: str) -> Node:
        """Parse one action of a clause."""
        path = self.path()
        if clause == "REMOVE":
            return (clause, path)
        if clause in {"ADD", "DELETE"}:
            return (clause, path, self.operand())
        self.expect("=")
        value = self.operand()
        if sign := self.accept("+", "-"):
            value = ("sum", sign, value, self.operand())
        return (clause, path, value)


def split(text: str) -> list[str]:
    """Split an expression into tokens."""
    tokens, at, text = [], 0, text.rstrip()
    while at < len(text):
        found = TOKEN.match(text, at)
        if not found:
            raise ExpressionError(f'Syntax error; token "{text[at : at + 10].strip()}" in "{text}"')
        tokens.append(found[1] or found[2])
        at = found.end()
    return tokens


@lru_cache(PARSED_MAX)
def parse_condition(text: str) -> Node:
    """Parse a condition."""
    parser = Parser(text)
    node = parser.condition()
    parser.end()
    return node


@lru_cache(PARSED_MAX)
def parse_update(text: str) -> tuple[Node, ...]:
    """Parse an update into actions."""
    return Parser(text).update()


@lru_cache(PARSED_MAX)
def parse_projection(text: str) -> tuple[tuple[str | int, ...], ...]:
    """Parse a list of paths."""
    parser = Parser(text)
    found = [parser.path()]
    while parser.accept(","):
        found.append(parser.path())
    parser.end()
    return tuple(found)


def resolve(path: tuple[str | int, ...], scope: Scope) -> tuple[str | int, ...]:
    """Return a path with the names of attributes in place of ``#name``."""
    return tuple(scope.name(each) if isinstance(each, str) else each for each in path)


def find(item: Item, path: tuple[str | int, ...]) -> Value | None:
    """Return the value at a path; None if there is none."""
    value: Any = {"M": item}
    for each in path:
        inner = value.get("L" if isinstance(each, int) else "M")
        if isinstance(each, int):
            value = inner[each] if inner is not None and each < len(inner) else None
        else:
            value = inner.get(each) if inner is not None else None
        if value is None:
            return None
    found: Value = value
    return found


def holds(node: Node, item: Item, scope: Scope) -> bool:
    """Return whether a condition holds for an item."""
    match node:
        case ("and", left, right):
            return holds(left, item, scope) and holds(right, item, scope)
        case ("or", left, right):
            return holds(left, item, scope) or holds(right, item, scope)
        case ("not", inner):
            return not holds(inner, item, scope)
        case ("compare", sign, left, right):
            return compare(sign, evaluate(left, item, scope), evaluate(right, item, scope))
        case ("between", middle, low, high):
            value = evaluate(middle, item, scope)
            return compare(">=", value, evaluate(low, item, scope)) and compare(
                "<=", value, evaluate(high, item, scope)
            )
        case ("in", wanted, among):
            value = evaluate(wanted, item, scope)
            return any(compare("=", value, evaluate(each, item, scope)) for each in among)
        case ("attribute_exists", path):
            return evaluate(path, item, scope) is not None
        case ("attribute_not_exists", path):
            return evaluate(path, item, scope) is None
        case (name, *operands):
            return call(name, *(evaluate(each, item, scope) for each in operands))
    raise ExpressionError(f"not a condition: {node}")


def call(name: str, value: Value | None, operand: Value | None = None) -> bool:
    """Evaluate a function of a value and an operand; false where the value is missing."""
    if value is None or operand is None:
        return False
    (kind, content), (other_kind, other) = *value.items(), *operand.items()
    if name == "attribute_type":
        return bool(kind == other)
    if name == "begins_with":
        return kind == other_kind and kind in {"S", "B"} and bool(content.startswith(other))
    if kind == "L":
        return operand in content
    return bool(other in content) if kind in {"S", "B", *SETS} else False


def evaluate(node: Node, item: Item, scope: Scope) -> Value | None:
    """Return the value of an operand; None if its attribute is missing."""
    match node:
        case ("value", token):
            return scope.value(token)
        case ("path", path):
            return find(item, resolve(path, scope))
        case ("size", inner):
            value = evaluate(inner, item, scope)
            return None if value is None else {"N": str(len(next(iter(value.values()))))}
        case ("if_not_exists", path, other):
            found = evaluate(path, item, scope)
            return found if found is not None else evaluate(other, item, scope)
        case ("list_append", first, second):
            return {"L": [*content(first, "L", item, scope), *content(second, "L", item, scope)]}
        case ("sum", sign, left, right):
            first = Decimal(content(left, "N", item, scope))
            second = Decimal(content(right, "N", item, scope))
            return number(first + second if sign == "+" else first - second)
    raise ExpressionError(f"not an operand: {node}")


def content(node: Node, kind: str, item: Item, scope: Scope) -> Any:
    """Return the content of an operand, which must be there and of this type."""
    value = evaluate(node, item, scope)
    if value is None:
        raise ExpressionError(
            "The provided expression refers to an attribute that does not exist in the item"
        )
    if kind not in value:
        raise ExpressionError(
            f"An operand in the update expression has an incorrect data type; wanted {kind}"
        )
    return value[kind]


def compare(sign: str, left: Value | None, right: Value | None) -> bool:
    """Compare two values; values of different types are unequal, and neither is less."""
    if left is None or right is None:
        return sign == "<>" and left is not right
    (kind, first), (other, second) = *left.items(), *right.items()
    if kind != other:
        return sign == "<>"
    if kind == "N":
        first, second = Decimal(first), Decimal(second)
    elif kind in SETS:
        first, second = set(first), set(second)
    if sign in {"=", "<>"}:
        return bool(first == second) is (sign == "=")
    if kind not in {"S", "N", "B"}:
        return False
    if kind == "S":
        # DynamoDB sorts texts by their bytes.
        first, second = first.encode(), second.encode()
    return bool(
        {"<": first < second, "<=": first <= second, ">": first > second, ">=": first >= second}[
            sign
        ]
    )


def number(value: Decimal) -> Value:
    """Return a number as a value; without exponent and zeros at its end."""
    text = f"{value:f}"
    return {"N": (text.rstrip("0").rstrip(".") if "." in text else text) or "0"}
