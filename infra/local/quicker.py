"""Faster replacements for slow functions of moto, with the same results.

moto stands in for AWS on one machine. The processor time that it uses for each request is missing
for the images.
"""

import copy
from collections import deque
from collections.abc import Callable
from functools import cache, lru_cache, partialmethod
from typing import Any

from botocore.model import StructureShape
from moto import backends
from moto.core import responses
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser, Node
from moto.dynamodb.parsing.executors import UpdateExpressionExecutor
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.dynamodb.parsing.validators import ActionCountValidator, OverlappingPathsValidator

# Position of the index's name among the arguments of moto's `Table.query` that follow the values:
# limit, start key, direction, projection, index name.
INDEX_NAME = 4
# Most parsed expressions in a cache; the app writes some dozens.
PARSED_MAX = 256
# Most pairs of classes in the cache of `is_subclass`; moto has some dozens of node classes.
CLASS_PAIRS_MAX = 1024
# Largest row that moto accepts.
ROW_BYTES_MAX = 405_000
# DynamoDB's name for the shape of a value with its type; there are ten types.
TYPED_VALUE = "AttributeValue"

# `issubclass` is slow for abstract classes.
is_subclass: Callable[[type, Any], bool] = lru_cache(CLASS_PAIRS_MAX)(issubclass)


def patch_moto() -> None:
    """Replace moto's slow functions by those of this module."""
    Table.query = partialmethod(query_table, Table.query)
    # moto lists its own folder twice for each request.
    names = backends.list_of_moto_modules
    backends.list_of_moto_modules = cache(lambda: tuple(names()))
    serialize_structure = BaseJSONSerializer._serialize_type_structure
    BaseJSONSerializer._serialize_type_structure = partialmethod(
        serialize_typed_value, serialize_structure
    )
    # moto inspects all members of a class for each request.
    responses.method_names_from_class = cache(responses.method_names_from_class)
    patch_expressions()
    # moto measures the whole row for each attribute that is set. `init_row` and `execute_update`
    # measure it once.
    LimitedSizeDict.__setitem__ = dict.__setitem__
    Item.__init__ = partialmethod(init_row, Item.__init__)
    UpdateExpressionExecutor.execute = partialmethod(
        execute_update, UpdateExpressionExecutor.execute
    )


def patch_expressions() -> None:
    """Make moto parse and split each expression once, and traverse the results faster."""
    UpdateExpressionParser.make = lru_cache(PARSED_MAX)(wrap_parser(UpdateExpressionParser.make))
    # The wrapped parser has made this check already.
    ActionCountValidator.traverse = lambda self, node: node
    # The check at the root covers all nodes below it, so no traversal is needed.
    OverlappingPathsValidator.traverse = OverlappingPathsValidator.check_for_overlapping_paths
    DepthFirstTraverser.traverse_node_recursively = traverse
    Node.__deepcopy__ = copy_node
    lexed = lru_cache(PARSED_MAX)(wrap_lexer(ConditionExpressionParser._lex_condition_expression))
    ConditionExpressionParser._lex_condition_expression = lambda self: deque(
        lexed(self.condition_expression)
    )


def wrap_parser(original: Callable[[str], Node]) -> Callable[[str], Node]:
    """Return a parser of update expressions whose result is a root with all actions as children.

    moto brings the tree into this form later. Until then its actions are nested, and each visit
    passes through one more clause per action. With this parser the number of clauses is checked
    before any condition, which moto does later, too.
    """

    def parse(expression: str) -> Node:
        root = original(expression)
        ActionCountValidator().verify_action_counts(root)
        root.normalize()
        for action in root.children:
            action.set_parent(root)
        return root

    return parse


def wrap_lexer(
    original: Callable[[ConditionExpressionParser], Any],
) -> Callable[[str], tuple[Any, ...]]:
    """Return a function that splits a condition into tokens.

    Its results can be cached; moto compiles six patterns for each token.
    """
    return lambda expression: tuple(original(ConditionExpressionParser(expression, None, None)))


def copy_node(self: Node, memo: dict[int, Any]) -> Node:
    """Copy a parsed tree; moto changes the copy, and the cached tree stays as it is."""
    copied = object.__new__(type(self))
    copied.__dict__.update(self.__dict__)
    if self.children is not None:
        copied.children = [
            copy_node(child, memo) if is_subclass(type(child), Node) else child
            for child in self.children
        ]
        for child in copied.children:
            if is_subclass(type(child), Node):
                child.set_parent(copied)
    return copied


def init_row(self: Item, original: Callable[..., None], *others: Any, **named: Any) -> None:
    """Initialize a row, and check its size.

    Raises
    ------
    ItemSizeTooLarge
        If the row has more than `ROW_BYTES_MAX` bytes.
    """
    original(self, *others, **named)
    check_size(self)


def execute_update(
    self: UpdateExpressionExecutor, original: Callable[..., None], node: Node | None = None
) -> None:
    """Execute an update, and undo it if the row is then too large.

    Raises
    ------
    ItemSizeTooLarge
        If the row would have more than `ROW_BYTES_MAX` bytes.
    """
    if node is not None:
        original(self, node)
        return
    before = copy.deepcopy(self.item)
    original(self)
    try:
        check_size(self.item)
    except ItemSizeTooLarge:
        self.item.attrs = before.attrs
        raise


def check_size(row: Item) -> None:
    """Raise ItemSizeTooLarge if a row has more than `ROW_BYTES_MAX` bytes."""
    if row.size() > ROW_BYTES_MAX:
        raise ItemSizeTooLarge


def query_table(
    self: Table,
    original: Callable[..., Any],
    hash_key: DynamoType,
    comparison: str | None,
    values: list[DynamoType],
    *others: Any,
    **named: Any,
) -> Any:
    """Select the rows that can match, then run moto's query on these rows only.

    Without this moto looks at all rows of the table, sorts them for an index, and computes the size
    of all rows that share the hash key.
    """
    table, rows = self, self.items.get(hash_key)
    if others[INDEX_NAME] is not None:
        table = restrict_table(self, select_rows(self, hash_key, others[INDEX_NAME]))
    elif rows and comparison:
        kept = {key: row for key, row in rows.items() if key.compare(comparison, values)}
        table = restrict_table(self, {hash_key: kept})
    return original(table, hash_key, comparison, values, *others, **named)


def restrict_table(table: Table, items: dict[Any, Any]) -> Table:
    """Return a shallow copy of a table that has only the given rows.

    `Table()` is not called, because the class keeps a reference to every instance it creates.
    """
    restricted: Table = object.__new__(Table)
    restricted.__dict__.update(table.__dict__, items=items)
    return restricted


def select_rows(table: Table, hash_key: DynamoType | None, name: str) -> dict[Any, Any]:
    """Return the rows whose value at the hash key of an index is `hash_key`.

    All rows are returned if the hash key is a number, which can be written in several ways, or if
    the index has no single hash key. moto then selects the rows itself.

    Parameters
    ----------
    table : Table
        The table to read.
    hash_key : DynamoType or None
        The value to look for.
    name : str
        Name of the index.

    Returns
    -------
    dict
        The rows by sort key, by hash key, as in ``table.items``.
    """
    schemas = [each.schema for each in table.all_indexes() if each.name == name]
    hashes = [key["AttributeName"] for each in schemas for key in each if key["KeyType"] == "HASH"]
    items: dict[Any, Any] = table.items
    if hash_key is None or hash_key.is_number() or len(hashes) != 1 or not table.range_key_attr:
        return items
    (attribute,) = hashes

    def matches(row: Item) -> bool:
        found = row.attrs.get(attribute)
        return found is not None and (found.type, found.value) == (hash_key.type, hash_key.value)

    kept = {
        key: {sort_key: row for sort_key, row in rows.items() if matches(row)}
        for key, rows in items.items()
    }
    return {key: rows for key, rows in kept.items() if rows}


def serialize_typed_value(
    self: BaseJSONSerializer,
    original: Callable[..., None],
    serialized: dict[str, Any],
    value: Any,
    shape: StructureShape,
    key: str,
) -> None:
    """Serialize a structure; if it is a value with its type, look up that type directly.

    moto tries each of the ten types in turn, each under several names.
    """
    if shape.name != TYPED_VALUE or type(value) is not dict:
        original(self, serialized, value, shape, key)
        return
    typed: dict[str, Any] = {}
    for name, content in value.items():
        self._serialize(typed, content, shape.members[name], name)
    self._default_serialize(serialized, typed, shape, key)


def traverse(self: DepthFirstTraverser, node: Any, child_id: int = -1) -> Any:
    """Process all nodes of the traverser's classes, from the leaves to the root.

    moto collects these classes again at every node, and compares them with `isinstance`, which is
    slow for abstract classes.
    """
    classes = tuple(self.nodes_to_be_processed())

    def visit(node: Node, child_id: int) -> Node:
        parent = node.parent
        for i, child in enumerate(node.children or ()):
            self.pre_processing_of_child(node, i)
            if is_subclass(type(child), Node):
                visit(child, i)
        if is_subclass(type(node), classes):
            node = self.process(node)
            node.parent = parent
            if parent:
                parent.children[child_id] = node
        return node

    return visit(node, child_id)
