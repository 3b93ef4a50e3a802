"""DynamoDB's expressions, evaluated: conditions and the operands of updates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any

from infra.local.store.errors import Invalid
from infra.local.store.parser import Node, Path
from infra.local.store.values import SETS, TYPES, Item, Value, decoded, written

# Digits between the largest and the smallest number: sums of two numbers are exact.
EXACT = Context(prec=300)
# Types that have an order.
ORDERED = {"S", "N", "B"}


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
            raise Invalid(
                "An expression attribute name used in the document path is not defined; attribute "
                f"name: {token}"
            )
        return self.names[token]

    def value(self, token: str) -> Value:
        """Return the value that a token stands for."""
        if token not in self.values:
            raise Invalid(
                "An expression attribute value used in expression is not defined; "
                f"attribute value: {token}"
            )
        return self.values[token]


def check_operands(node: Node, scope: Scope) -> None:
    """Raise Invalid if a value has a type that its operator or function does not take.

    Parameters
    ----------
    node : tuple
        A condition, or an action of an update.
    scope : Scope
        Has all values of the expression.
    """
    match node:
        case ("path" | "REMOVE", _):
            return
        case ("ADD", _, operand):
            check_type("ADD", operand, scope, {"N", *SETS})
            return
        case ("DELETE", _, operand):
            check_type("DELETE", operand, scope, set(SETS))
            return
        case ("SET", _, operand):
            check_operands(operand, scope)
            return
        case ("compare", sign, left, right) if sign not in {"=", "<>"}:
            for each in (left, right):
                check_type(sign, each, scope, ORDERED)
        case ("between", _, low, high):
            for each in node[1:]:
                check_type("BETWEEN", each, scope, ORDERED)
            check_bounds(low, high, scope)
        case ("begins_with", left, right):
            for each in (left, right):
                check_type("begins_with", each, scope, {"S", "B"})
        case ("attribute_type", _, ("value", token)):
            check_type("attribute_type", node[2], scope, {"S"})
            if (found := scope.value(token)["S"]) not in TYPES:
                raise Invalid(f"Invalid attribute type name found; type: {found}")
        case ("size", operand):
            check_type("size", operand, scope, TYPES - {"N", "BOOL", "NULL"})
        case ("sum", sign, left, right):
            for each in (left, right):
                check_type(sign, each, scope, {"N"})
        case ("list_append", left, right):
            for each in (left, right):
                check_type("list_append", each, scope, {"L"})
    for each in node:
        if isinstance(each, tuple):
            check_operands(each, scope)


def check_type(operator: str, operand: Node, scope: Scope, types: set[str]) -> None:
    """Raise Invalid if an operand is a value, not a path, and has none of these types."""
    if operand[0] != "value":
        return
    (kind,) = scope.value(operand[1])
    if kind not in types:
        raise Invalid(
            "Incorrect operand type for operator or function; operator or function: "
            f"{operator}, operand type: {kind}"
        )


def check_bounds(low: Node, high: Node, scope: Scope) -> None:
    """Raise Invalid if the bounds of BETWEEN are values in the wrong order."""
    if low[0] != "value" or high[0] != "value":
        return
    first, second = scope.value(low[1]), scope.value(high[1])
    if not compare("<=", first, second):
        raise Invalid(
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound, "
            "of the same type"
        )


def resolve(path: Path, scope: Scope) -> Path:
    """Return a path with the names of attributes in place of ``#name``."""
    return tuple(scope.name(each) if isinstance(each, str) else each for each in path)


def find(item: Item, path: Path) -> Value | None:
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
    raise Invalid(f"not a condition: {node}")


def call(name: str, value: Value | None, operand: Value | None = None) -> bool:
    """Evaluate a function of a value and an operand; false where the value is missing."""
    if value is None or operand is None:
        return False
    (kind, content), (other_kind, other) = *value.items(), *operand.items()
    if name == "attribute_type":
        return bool(kind == other)
    if kind in {"S", "B"}:
        if kind != other_kind:
            return False
        whole, part = bytes_of(kind, content), bytes_of(kind, other)
        return whole.startswith(part) if name == "begins_with" else part in whole
    if name == "begins_with":
        return False
    if kind == "L":
        return operand in content
    return kind in SETS and SETS[kind] == other_kind and other in content


def bytes_of(kind: str, content: str) -> bytes:
    """Return the bytes of a text, or those that a value of type B has."""
    return decoded(content) if kind == "B" else content.encode()


def evaluate(node: Node, item: Item, scope: Scope) -> Value | None:
    """Return the value of an operand; None if its attribute is missing."""
    match node:
        case ("value", token):
            return scope.value(token)
        case ("path", path):
            return find(item, resolve(path, scope))
        case ("size", inner):
            return length(evaluate(inner, item, scope))
        case ("if_not_exists", path, other):
            found = evaluate(path, item, scope)
            return found if found is not None else evaluate(other, item, scope)
        case ("list_append", first, second):
            return {"L": [*content(first, "L", item, scope), *content(second, "L", item, scope)]}
        case ("sum", sign, left, right):
            first = Decimal(content(left, "N", item, scope))
            second = Decimal(content(right, "N", item, scope))
            return {"N": total(first, second if sign == "+" else second.copy_negate())}
    raise Invalid(f"not an operand: {node}")


def content(node: Node, kind: str, item: Item, scope: Scope) -> Any:
    """Return the content of an operand, which must be there and of this type."""
    value = evaluate(node, item, scope)
    if value is None:
        raise Invalid(
            "The provided expression refers to an attribute that does not exist in the item"
        )
    if kind not in value:
        raise Invalid(
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
    if kind in {"S", "B"}:
        # DynamoDB sorts texts by their bytes.
        first, second = bytes_of(kind, first), bytes_of(kind, second)
    return bool(
        {"<": first < second, "<=": first <= second, ">": first > second, ">=": first >= second}[
            sign
        ]
    )


def total(first: Decimal, second: Decimal) -> str:
    """Add two numbers without rounding; raise Invalid if the sum has too many digits."""
    return written(EXACT.add(first, second))


def length(value: Value | None) -> Value | None:
    """Return the length of a text, of bytes, or of a set, list or map; None if it has none."""
    if value is None:
        return None
    ((kind, content),) = value.items()
    if kind in {"N", "BOOL", "NULL"}:
        return None
    return {"N": str(len(decoded(content) if kind == "B" else content))}
