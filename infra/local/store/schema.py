"""A table as it was created, its keys and indexes, and what keys DynamoDB takes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from infra.local.store.errors import Invalid
from infra.local.store.values import Item, Value, decoded

# DynamoDB's own limits of a hash key and of a sort key.
HASH_BYTES_MAX, RANGE_BYTES_MAX = 2048, 1024
# Digits that a number of a key may have here, where the database compares it.
FLOAT_DIGITS_MAX = 15
INTEGER_MAX = 2**63 - 1
INVALID = "One or more parameter values were invalid"


@dataclass(frozen=True)
class Index:
    """An index: the attributes of its key, whether it has keys only, and its name."""

    hash: str
    range: str
    keys_only: bool = False
    name: str = ""

    @property
    def names(self) -> list[str]:
        """The attributes of the key."""
        return [name for name in (self.hash, self.range) if name]


@dataclass(frozen=True)
class Table:
    """A table as it was created.

    Attributes
    ----------
    name : str
        Its name.
    schema : mapping
        What CreateTable was called with.
    """

    name: str
    schema: Mapping[str, Any] = field(hash=False)

    @cached_property
    def key(self) -> Index:
        """The attributes of the table's own key."""
        return index_of(self.schema)

    @cached_property
    def indexes(self) -> dict[str, Index]:
        """The indexes by name."""
        return {
            each["IndexName"]: index_of(each)
            for each in self.schema.get("GlobalSecondaryIndexes", ())
        }

    @cached_property
    def types(self) -> dict[str, str]:
        """The types of the attributes of keys: S, N or B."""
        return {
            each["AttributeName"]: each["AttributeType"]
            for each in self.schema["AttributeDefinitions"]
        }

    @cached_property
    def columns(self) -> list[str]:
        """The attributes that have a column: those of the keys, first the table's own."""
        named = [name for each in self.indexes.values() for name in each.names]
        return list(dict.fromkeys([*self.key.names, *named]))

    @cached_property
    def sql(self) -> str:
        """The table's name in SQL."""
        return quoted(f"table {self.name}")

    def check(self) -> None:
        """Raise Invalid if the types of its keys are not declared, or others are."""
        if set(self.types) != set(self.columns):
            raise Invalid(
                f"{INVALID}: Some AttributeDefinitions are not used, or some index key attributes "
                f"are not defined: {sorted(set(self.types) ^ set(self.columns))}"
            )

    def index(self, name: str | None) -> Index:
        """Return an index by its name; the table's own key without one."""
        if not name:
            return self.key
        if name not in self.indexes:
            raise Invalid(f"The table does not have the specified index: {name}")
        return self.indexes[name]

    def check_key(self, key: Item) -> None:
        """Raise Invalid if this is no key of the table."""
        fits = all(self.types[name] in key.get(name, ()) for name in self.key.names)
        if not fits or len(key) != len(self.key.names):
            raise Invalid("The provided key element does not match the schema")
        self.check_lengths(key)

    def check_item(self, item: Item) -> None:
        """Raise Invalid if an item has no key, or one that the table or an index does not take."""
        for name in self.key.names:
            if name not in item:
                raise Invalid(f"{INVALID}: Missing the key {name} in the item")
        for name in self.columns:
            if name in item and self.types[name] not in item[name]:
                (found,) = item[name]
                raise Invalid(
                    f"{INVALID}: Type mismatch for key {name} expected: {self.types[name]} "
                    f"actual: {found}"
                )
        self.check_lengths(item)

    def check_lengths(self, item: Item) -> None:
        """Raise Invalid if the value of a key is empty, too long, or a number with many digits."""
        for index in (self.key, *self.indexes.values()):
            for name, most in ((index.hash, HASH_BYTES_MAX), (index.range, RANGE_BYTES_MAX)):
                if name in item:
                    check_length(name, item[name], most)

    def start(self, index: Index, key: Item) -> Item:
        """Return the key where a page begins; raise Invalid if the index has no such key."""
        names = {*self.key.names, *index.names}
        if key.keys() != names or any(self.types[name] not in key[name] for name in names):
            raise Invalid("The provided starting key is invalid")
        return key


def check_length(name: str, value: Value, most: int) -> None:
    """Raise Invalid if the value of a key cannot be one."""
    compared = plain(value)
    if isinstance(compared, int | float):
        return
    count = len(compared.encode() if isinstance(compared, str) else compared)
    if not count:
        raise Invalid(
            "One or more parameter values are not valid. The AttributeValue for a key attribute "
            f"cannot contain an empty string value. Key: {name}"
        )
    if count > most:
        raise Invalid(f"{INVALID}: Size of key {name} has exceeded the maximum of {most} bytes")


def index_of(schema: Mapping[str, Any]) -> Index:
    """Read the attributes of a key from DynamoDB's form."""
    names = {each["KeyType"]: each["AttributeName"] for each in schema["KeySchema"]}
    if "HASH" not in names:
        raise Invalid(f"{INVALID}: the KeySchema has no HASH key")
    only = schema.get("Projection", {}).get("ProjectionType") == "KEYS_ONLY"
    return Index(names["HASH"], names.get("RANGE", ""), only, schema.get("IndexName", ""))


def quoted(name: str) -> str:
    """Return a name as SQL's identifier."""
    return '"' + name.replace('"', '""') + '"'


def named(names: Iterable[str]) -> str:
    """Return names as a list in SQL."""
    return ", ".join(map(quoted, names))


def plain(value: Value) -> str | bytes | int | float:
    """Return the value of a key as SQL compares it.

    Raises
    ------
    Invalid
        If it is a number that the database would round.
    """
    ((kind, content),) = value.items()
    if kind == "B":
        return decoded(content)
    if kind != "N":
        return str(content)
    found = Decimal(content)
    if found == found.to_integral_value() and abs(found) <= INTEGER_MAX:
        return int(found)
    if len(found.normalize().as_tuple().digits) > FLOAT_DIGITS_MAX:
        raise Invalid(f"{content}: a key of so many digits is not offered on one machine")
    return float(found)
