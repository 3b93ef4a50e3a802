"""The parser of DynamoDB's expressions: conditions, updates and projections.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
"""

import re
from functools import lru_cache
from typing import Any

from infra.local.store.errors import Invalid
from infra.local.store.reserved import RESERVED

# An operation and its operands: a tree, as tuples.
Node = tuple[Any, ...]
Path = tuple[str | int, ...]

# Parsed expressions in a cache; the app writes some dozens.
PARSED_MAX = 1024
# DynamoDB's own limits.
EXPRESSION_BYTES_MAX = 4096
IN_OPERANDS_MAX = 100
TOKEN = re.compile(r"\s*(?:([#:]?\w+)|(<=|>=|<>|[=<>(),.\[\]+-]))", re.ASCII)
NAME = re.compile(r"#\w+|[A-Za-z_]\w*", re.ASCII)
COMPARISONS = {"=", "<>", "<", "<=", ">", ">="}
# Functions that are conditions, and those that give a value; with their numbers of operands.
FUNCTIONS = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
}
VALUE_FUNCTIONS = {"size": 1, "if_not_exists": 2, "list_append": 2}
# Functions of a path alone.
OF_PATHS = {"attribute_exists", "attribute_not_exists", "attribute_type", "if_not_exists"}
CLAUSES = ("SET", "REMOVE", "ADD", "DELETE")


class Parser:
    """A parser by recursive descent over the tokens of one expression.

    Parameters
    ----------
    text : str
        The expression.
    field : str
        Field of the request that has it, for sentences.
    """

    def __init__(self, text: str, field: str) -> None:
        self.text, self.field = text, field
        if not text.strip():
            raise self.refusal("The expression can not be empty;")
        if len(text.encode()) > EXPRESSION_BYTES_MAX:
            raise self.refusal(
                "Expression size has exceeded the maximum allowed size; expression size: "
                f"{len(text.encode())}"
            )
        self.tokens = self.split()
        self.at = 0
        # Where parentheses open, and where the text behind them begins.
        self.groups: dict[int, int] = {}

    def refusal(self, why: str) -> Invalid:
        """Make the error for this expression."""
        return Invalid(f"Invalid {self.field}: {why}")

    def unexpected(self, token: str) -> Invalid:
        """Make the error for a token that cannot stand where it does."""
        return self.refusal(f'Syntax error; token: "{token or "<EOF>"}", near: "{self.text}"')

    def split(self) -> list[str]:
        """Split the expression into tokens."""
        tokens, at, text = [], 0, self.text.rstrip()
        while at < len(text):
            found = TOKEN.match(text, at)
            if not found:
                raise self.unexpected(text[at : at + 10].strip())
            tokens.append(found[1] or found[2])
            at = found.end()
        return tokens

    def peek(self, ahead: int = 0) -> str:
        """Return the next token, or one behind it; empty at the end."""
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else ""

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
            raise self.unexpected(self.peek())

    def end(self) -> None:
        """Raise if there are more tokens."""
        if self.peek():
            raise self.unexpected(self.peek())

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
            return self.group()
        if self.peek() in FUNCTIONS and self.peek(1) == "(":
            return self.call(FUNCTIONS)
        left = self.operand()
        if self.accept("BETWEEN"):
            low = self.operand()
            self.expect("AND")
            return self.two_operands("BETWEEN", ("between", left, low, self.operand()))
        if self.accept("IN"):
            self.expect("(")
            among = self.listed()
            if len(among) > IN_OPERANDS_MAX:
                raise self.refusal(f"The IN operator takes at most {IN_OPERANDS_MAX} operands")
            return ("in", left, among)
        sign = self.next()
        if sign not in COMPARISONS:
            raise self.unexpected(sign)
        return self.two_operands(sign, ("compare", sign, left, self.operand()))

    def group(self) -> Node:
        """Parse a condition behind an opening parenthesis, up to the closing one."""
        begin = self.at
        node = self.condition()
        if self.groups.get(begin) == self.at:
            raise self.refusal("The expression has redundant parentheses;")
        self.expect(")")
        self.groups[begin - 1] = self.at
        return node

    def two_operands(self, sign: str, node: Node) -> Node:
        """Return a comparison; raise if it compares a path with itself."""
        first, second = node[-2:]
        if sign != "BETWEEN" and first == second and first[0] == "path":
            raise self.refusal(
                "The first operand must be distinct from the remaining operands for this operator "
                f"or function; operator: {sign}, first operand: {first[1]}"
            )
        return node

    def call(self, known: dict[str, int]) -> Node:
        """Parse a call of one of some functions."""
        name = self.next()
        self.expect("(")
        operands = self.listed()
        if len(operands) != known[name]:
            raise self.refusal(
                "Incorrect number of operands for operator or function; operator or function: "
                f"{name}, number of operands: {len(operands)}"
            )
        if name in OF_PATHS and operands[0][0] != "path":
            raise self.refusal(
                f"Operator or function requires a document path; operator or function: {name}"
            )
        return (name, *operands)

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
        if token.startswith(":") and len(token) > 1:
            return ("value", self.next())
        if self.peek(1) == "(":
            return self.value_call()
        return ("path", self.path())

    def value_call(self) -> Node:
        """Parse a call of a function that gives a value and is allowed here."""
        name = self.peek()
        if name not in VALUE_FUNCTIONS | FUNCTIONS:
            raise self.refusal(f"Invalid function name; function: {name}")
        if name not in VALUE_FUNCTIONS or (name == "size") is (self.field == "UpdateExpression"):
            raise self.refusal(f"The function is not allowed here; function: {name}")
        return self.call(VALUE_FUNCTIONS)

    def path(self) -> Path:
        """Parse the path of an attribute: names and indexes of lists."""
        found: list[str | int] = [self.attribute()]
        while True:
            if self.accept("."):
                found.append(self.attribute())
            elif self.accept("["):
                index = self.next()
                if not (index.isascii() and index.isdigit() and len(index) <= 10):
                    raise self.unexpected(index)
                found.append(int(index))
                self.expect("]")
            else:
                return tuple(found)

    def attribute(self) -> str:
        """Parse the name of an attribute, or ``#name``."""
        token = self.next()
        if not NAME.fullmatch(token):
            raise self.unexpected(token)
        if token.upper() in RESERVED:
            raise self.refusal(f"Attribute name is a reserved keyword; reserved keyword: {token}")
        return token

    def update(self) -> tuple[Node, ...]:
        """Parse the clauses of an update into actions."""
        actions: list[Node] = []
        seen: set[str] = set()
        while clause := self.accept(*CLAUSES):
            if clause in seen:
                raise self.refusal(
                    f'The "{clause}" section can only be used once in an update expression;'
                )
            seen.add(clause)
            actions.append(self.action(clause))
            while self.accept(","):
                actions.append(self.action(clause))
        return tuple(actions)

    def action(self, clause: str) -> Node:
        """Parse one action of a clause."""
        path = self.path()
        if clause == "REMOVE":
            return (clause, path)
        if clause in {"ADD", "DELETE"}:
            value = self.operand()
            if value[0] != "value":
                raise self.unexpected(self.tokens[self.at - 1])
            return (clause, path, value)
        self.expect("=")
        value = self.operand()
        if sign := self.accept("+", "-"):
            value = ("sum", sign, value, self.operand())
        return (clause, path, value)

    def projection(self) -> tuple[Path, ...]:
        """Parse a list of paths."""
        found = [self.path()]
        while self.accept(","):
            found.append(self.path())
        return tuple(found)


@lru_cache(PARSED_MAX)
def parse_condition(text: str, field: str = "ConditionExpression") -> Node:
    """Parse a condition."""
    parser = Parser(text, field)
    node = parser.condition()
    parser.end()
    return node


@lru_cache(PARSED_MAX)
def parse_update(text: str) -> tuple[Node, ...]:
    """Parse an update into actions."""
    parser = Parser(text, "UpdateExpression")
    actions = parser.update()
    parser.end()
    return actions


@lru_cache(PARSED_MAX)
def parse_projection(text: str) -> tuple[Path, ...]:
    """Parse a list of paths."""
    parser = Parser(text, "ProjectionExpression")
    paths = parser.projection()
    parser.end()
    return paths


@lru_cache(PARSED_MAX)
def tokens_of(text: str, field: str) -> frozenset[str]:
    """Return the names ``#name`` and the values ``:value`` that an expression uses."""
    return frozenset(each for each in Parser(text, field).tokens if each[0] in "#:")
