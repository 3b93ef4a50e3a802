"""The update of an item by DynamoDB's actions, and the part of an item that a projection names."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

from infra.local.store.errors import Invalid
from infra.local.store.expressions import Scope, evaluate, find, resolve, total
from infra.local.store.parser import Node, Path
from infra.local.store.values import SETS, Item, Value


def updated(item: Item, actions: tuple[Node, ...], scope: Scope, keys: set[str]) -> Item:
    """Return an item after an update; the item itself stays as it is.

    Parameters
    ----------
    item : dict
        The item before; all values of actions are read from it.
    actions : tuple
        From `parse_update`.
    scope : Scope
        Names and values of the update.
    keys : set of str
        Attributes of the key, which no update may change.

    Raises
    ------
    Invalid
        If DynamoDB would refuse the update for this item.
    """
    paths = [resolve(action[1], scope) for action in actions]
    check_paths(paths, keys)
    values = [evaluate(action[2], item, scope) if action[2:] else None for action in actions]
    after = dict(item)
    removed: list[Path] = []
    for (clause, *_), path, value in zip(actions, paths, values, strict=True):
        match clause:
            case "SET":
                if value is None:
                    raise Invalid(
                        "The provided expression refers to an attribute that does not exist in the "
                        "item"
                    )
                replace(after, path, value)
            case "REMOVE":
                removed.append(path)
            case "ADD":
                replace(after, path, added(find(item, path), value or {}))
            case "DELETE":
                left = subtracted(find(item, path), value or {})
                if left is None:
                    removed.append(path)
                else:
                    replace(after, path, left)
    # Elements of a list from the last to the first, so that no index shifts.
    for path in sorted(removed, key=sortable, reverse=True):
        remove(after, path)
    return after


def sortable(path: Path) -> list[tuple[bool, str | int]]:
    """Return a key by which paths of names and indexes can be sorted."""
    return [(isinstance(each, int), each) for each in path]


def check_paths(paths: list[Path], keys: set[str]) -> None:
    """Raise Invalid if an update has overlapping paths, or changes the key."""
    for i, path in enumerate(paths):
        if path[0] in keys:
            raise Invalid(f"Cannot update attribute {path[0]}. This attribute is part of the key")
        for other in paths[:i]:
            length = min(len(path), len(other))
            if path[:length] == other[:length]:
                raise Invalid(
                    "Two document paths overlap with each other; must remove or rewrite one of "
                    f"these paths; path one: {list(other)}, path two: {list(path)}"
                )


def inner(item: Item, path: Path) -> Any:
    """Return the map or list of a copy that holds the last part of a path, copied on the way."""
    place: Any = item
    for each, following in pairwise(path):
        kind = "L" if isinstance(following, int) else "M"
        if isinstance(each, int):
            known = place[each] if each < len(place) else None
        else:
            known = place.get(each)
        if not known or kind not in known:
            raise Invalid(
                "The document path provided in the update expression is invalid for update"
            )
        copied = list(known["L"]) if kind == "L" else dict(known["M"])
        place[each] = {kind: copied}
        place = copied
    return place


def replace(item: Item, path: Path, value: Value) -> None:
    """Put a value at a path; behind the end of a list it is appended."""
    place = inner(item, path)
    if isinstance(path[-1], int) and path[-1] >= len(place):
        place.append(value)
    else:
        place[path[-1]] = value


def remove(item: Item, path: Path) -> None:
    """Remove what lies at a path, if anything does."""
    if find(item, path) is not None:
        del inner(item, path)[path[-1]]


def added(before: Value | None, value: Value) -> Value:
    """Return a number plus another, or a set with the members of another."""
    ((kind, content),) = value.items()
    if kind not in {"N", *SETS}:
        raise Invalid(f"Incorrect operand type for operator or function; operator: ADD; {kind}")
    if before is None:
        return value
    if kind not in before:
        raise Invalid("An operand in the update expression has an incorrect data type")
    if kind == "N":
        return {"N": total(Decimal(before["N"]), Decimal(content))}
    return {kind: list(dict.fromkeys([*before[kind], *content]))}


def subtracted(before: Value | None, value: Value) -> Value | None:
    """Return a set without the members of another; None if nothing is left."""
    ((kind, content),) = value.items()
    if kind not in SETS or (before is not None and kind not in before):
        raise Invalid("An operand in the update expression has an incorrect data type")
    left = [each for each in before[kind] if each not in content] if before else []
    return {kind: left} if left else None


def projected(item: Item, paths: tuple[Path, ...], scope: Scope) -> Item:
    """Return the part of an item at some paths; whole attributes or members of maps."""
    found: Item = {}
    for path in (resolve(each, scope) for each in paths):
        value = find(item, path)
        if value is None:
            continue
        place = found
        for each in path[:-1]:
            place = place.setdefault(str(each), {"M": {}})["M"]
        place[str(path[-1])] = value
    return found
