"""DynamoDB's values: which are refused, how numbers are written, and how much they count.

Values have DynamoDB's form with a type, such as ``{"S": "text"}`` and ``{"N": "1"}``.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
"""

import base64
import binascii
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from infra.local.store.errors import Invalid, TableError

Value = dict[str, Any]
Item = dict[str, Value]

# Sets, and the type of their members.
SETS = {"SS": "S", "NS": "N", "BS": "B"}
TYPES = {"S", "N", "B", "BOOL", "NULL", "L", "M", *SETS}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,9})?", re.ASCII)
# Of a number: significant digits, and exponents of the first of them.
DIGITS_MAX = 38
EXPONENT_MIN, EXPONENT_MAX = -130, 125
# Lists and maps inside each other.
NESTING_MAX = 32
NAME_BYTES_MAX = 65_535
# What a list or map counts beside its members, and each member.
NEST_BYTES, MEMBER_BYTES = 3, 1


def checked_item(item: Any) -> Item:
    """Return the attributes of an item with numbers as DynamoDB writes them; raises as `checked`.

    Parameters
    ----------
    item : dict
        Of a request, where it may be anything.
    """
    if not isinstance(item, dict):
        raise wrong_type("map")
    return {checked_name(name): checked(value) for name, value in item.items()}


def checked_name(name: str) -> str:
    """Return the name of an attribute; raise Invalid if no attribute can have it."""
    if not 0 < len(name.encode()) <= NAME_BYTES_MAX:
        raise Invalid(
            "One or more parameter values were invalid: an attribute's name must have "
            f"between 1 and {NAME_BYTES_MAX} bytes"
        )
    return name


def checked(value: Any, depth: int = 0) -> Value:
    """Return a value with its numbers as DynamoDB writes them.

    Parameters
    ----------
    value : dict
        Of a request, where it may be anything.
    depth : int
        Lists and maps that it lies in.

    Raises
    ------
    Invalid
        If DynamoDB takes no such value.
    TableError
        If it has another form than a value.
    """
    if not isinstance(value, dict):
        raise wrong_type("attribute value")
    if len(value) != 1:
        found = "has more than one datatypes set" if value else "is empty"
        raise Invalid(
            f"Supplied AttributeValue {found}, must contain exactly one of the supported datatypes"
        )
    if depth > NESTING_MAX:
        raise Invalid("Nesting Levels have exceeded supported limits")
    ((kind, content),) = value.items()
    match kind, content:
        case "L", list():
            return {"L": [checked(each, depth + 1) for each in content]}
        case "M", dict():
            inner = {checked_name(name): checked(each, depth + 1) for name, each in content.items()}
            return {"M": inner}
        case "BOOL", bool():
            return value
        case "NULL", bool():
            if not content:
                raise Invalid(
                    "One or more parameter values were invalid: Null attribute value types must "
                    "have the value of true"
                )
            return value
        case (("S" | "N" | "B"), str()):
            return {kind: checked_scalar(kind, content)}
        case (("SS" | "NS" | "BS"), list()):
            return {kind: checked_set(kind, content)}
    if kind not in TYPES:
        raise Invalid(
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
        )
    raise wrong_type(kind)


def checked_scalar(kind: str, content: Any) -> str:
    """Return the content of a text, a number or bytes."""
    if not isinstance(content, str):
        raise wrong_type(kind)
    if kind == "N":
        return checked_number(content)
    if kind == "B":
        decoded(content)
    return content


def checked_set(kind: str, members: list[Any]) -> list[str]:
    """Return the members of a set, which must differ."""
    if not members:
        raise Invalid(f"One or more parameter values were invalid: An {kind} set may not be empty")
    found = [checked_scalar(SETS[kind], each) for each in members]
    if len(set(found)) < len(found):
        raise Invalid(
            "One or more parameter values were invalid: Input collection "
            f"[{', '.join(found)}] contains duplicates."
        )
    return found


def checked_number(text: str) -> str:
    """Return a number as DynamoDB writes it."""
    if not NUMBER.fullmatch(text):
        raise Invalid(f"The parameter cannot be converted to a numeric value: {text}")
    return written(Decimal(text))


def written(value: Decimal) -> str:
    """Write a number without exponent, and without zeros at its ends.

    Raises
    ------
    Invalid
        If it has too many digits, or is too large or too small.
    """
    if not value:
        return "0"
    digits = "".join(map(str, value.as_tuple().digits)).strip("0")
    if len(digits) > DIGITS_MAX:
        raise Invalid("Attempting to store more than 38 significant digits in a Number")
    if value.adjusted() > EXPONENT_MAX:
        raise Invalid(
            "Number overflow. Attempting to store a number with magnitude larger than supported "
            "range"
        )
    if value.adjusted() < EXPONENT_MIN:
        raise Invalid(
            "Number underflow. Attempting to store a number with magnitude smaller than supported "
            "range"
        )
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def decoded(text: str) -> bytes:
    """Return the bytes of a value of type B."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise wrong_type("B, in base64") from error


def wrong_type(expected: str) -> TableError:
    """Make the error for JSON of another type than a field has."""
    return TableError("SerializationException", f"Unexpected JSON; expected: {expected}")


def size_of(item: Mapping[str, Value]) -> int:
    """Compute how many bytes DynamoDB counts for an item: its attributes' names and values."""
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())


def value_size(value: Value) -> int:
    """Compute how many bytes DynamoDB counts for a value.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    ((kind, content),) = value.items()
    match kind:
        case "L":
            return NEST_BYTES + sum(MEMBER_BYTES + value_size(each) for each in content)
        case "M":
            return NEST_BYTES + size_of(content) + MEMBER_BYTES * len(content)
        case "BOOL" | "NULL":
            return 1
        case "SS" | "NS" | "BS":
            return sum(scalar_size(SETS[kind], each) for each in content)
    return scalar_size(kind, content)


def scalar_size(kind: str, content: str) -> int:
    """Compute how many bytes DynamoDB counts for a text, a number or bytes."""
    if kind == "N":
        # A byte for two significant digits, one for the exponent, and one for a sign.
        digits = content.lstrip("-").replace(".", "").strip("0")
        return (len(digits) + 1) // 2 + 1 + content.startswith("-")
    return len(decoded(content)) if kind == "B" else len(content.encode())
