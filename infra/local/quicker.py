"""What moto does slowly for every request, done quickly and to the same end.

moto stands in for AWS on one machine, where all that it takes is taken from the images.
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

# Where moto's query is told of an index, after the limit, the start, the order and the projection.
INDEX_NAME = 4
# Expressions that are kept: the app writes some dozens.
PARSED_MAX = 256
# Pairs of classes of nodes that are kept: moto has some dozens.
KINDS_MAX = 1024
# As much as moto lets a row hold.
ROW_BYTES_MAX = 405_000
# DynamoDB's name of a value with its type, of which each has one of ten.
TYPED_VALUE = "AttributeValue"

is_kind: Callable[[type, Any], bool] = lru_cache(KINDS_MAX)(issubclass)


def take_places() -> None:
    """Put this module's functions in the places of moto's."""
    Table.query = partialmethod(query, Table.query)
    # It looks into moto's folder, twice for each request.
    names = backends.list_of_moto_modules
    backends.list_of_moto_modules = cache(lambda: tuple(names()))
    serialize_structure = BaseJSONSerializer._serialize_type_structure
    BaseJSONSerializer._serialize_type_structure = partialmethod(serialize, serialize_structure)
    # It looks at all members of a class, for each request.
    responses.method_names_from_class = cache(responses.method_names_from_class)
    take_expressions()
    # It measures the whole row for each attribute that is set.
    LimitedSizeDict.__setitem__ = dict.__setitem__
    Item.__init__ = partialmethod(make_row, Item.__init__)
    UpdateExpressionExecutor.execute = partialmethod(execute, UpdateExpressionExecutor.execute)


def take_expressions() -> None:
    """Have each expression parsed once, or parted into words, and gone through quickly."""
    UpdateExpressionParser.make = lru_cache(PARSED_MAX)(parser(UpdateExpressionParser.make))
    # The parser has asked it already.
    ActionCountValidator.traverse = lambda self, node: node
    # It looks at all that is below a node: to ask it of the root is enough.
    OverlappingPathsValidator.traverse = OverlappingPathsValidator.check_for_overlapping_paths
    DepthFirstTraverser.traverse_node_recursively = traverse
    Node.__deepcopy__ = copy_node
    lexed = lru_cache(PARSED_MAX)(lexer(ConditionExpressionParser._lex_condition_expression))
    ConditionExpressionParser._lex_condition_expression = lambda self: deque(
        lexed(self.condition_expression)
    )


def parser(moto: Callable[[str], Node]) -> Callable[[str], Node]:
    """Parse an update into a root with its actions; moto brings it into this form later.

    Until then it visits a clause for each action that follows another. What is wrong with the
    clauses is so found before a condition is asked.
    """

    def make(expression: str) -> Node:
        root = moto(expression)
        ActionCountValidator().verify_action_counts(root)
        root.normalize()
        for action in root.children:
            action.set_parent(root)
        return root

    return make


def lexer(moto: Callable[[ConditionExpressionParser], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Process a condition into words, for which moto compiles six patterns at each word."""
    return lambda expression: tuple(moto(ConditionExpressionParser(expression, None, None)))


def copy_node(self: Node, memo: dict[int, Any]) -> Node:
    """Copy what was parsed, for one that changes it."""
    copied = object.__new__(type(self))
    copied.__dict__.update(self.__dict__)
    if self.children is not None:
        copied.children = [
            copy_node(child, memo) if is_kind(type(child), Node) else child
            for child in self.children
        ]
        for child in copied.children:
            if is_kind(type(child), Node):
                child.set_parent(copied)
    return copied


def make_row(self: Item, moto: Callable[..., None], *others: Any, **named: Any) -> None:
    """Make a row, unless it is too large."""
    moto(self, *others, **named)
    check_size(self)


def execute(
    self: UpdateExpressionExecutor, moto: Callable[..., None], node: Node | None = None
) -> None:
    """Carry out an update, unless the row then is too large."""
    if node is not None:
        moto(self, node)
        return
    before = copy.deepcopy(self.item)
    moto(self)
    try:
        check_size(self.item)
    except ItemSizeTooLarge:
        self.item.attrs = before.attrs
        raise


def check_size(row: Item) -> None:
    """Refuse a row that is too large, as it is in the end."""
    if row.size() > ROW_BYTES_MAX:
        raise ItemSizeTooLarge


def query(
    self: Table,
    moto: Callable[..., Any],
    hash_key: DynamoType,
    comparison: str | None,
    values: list[DynamoType],
    *others: Any,
    **named: Any,
) -> Any:
    """Give moto only the rows in the range that is asked for, or of an index's hash key.

    moto's looks at all rows of the table, which it sorts for an index, and sizes up all that share
    the hash key.
    """
    table, rows = self, self.items.get(hash_key)
    if others[INDEX_NAME] is not None:
        table = narrowed(self, indexed(self, hash_key, others[INDEX_NAME]))
    elif rows and comparison:
        kept = {key: row for key, row in rows.items() if key.compare(comparison, values)}
        table = narrowed(self, {hash_key: kept})
    return moto(table, hash_key, comparison, values, *others, **named)


def narrowed(table: Table, items: dict[Any, Any]) -> Table:
    """Give a table of these rows alone; not by its class, which keeps every table that it makes."""
    found: Table = object.__new__(Table)
    found.__dict__.update(table.__dict__, items=items)
    return found


def indexed(table: Table, hash_key: DynamoType | None, name: str) -> dict[Any, Any]:
    """Give the rows that have a value where an index has its hash key; all if that is not one.

    A number is written in many ways, and is left to moto.
    """
    schemas = [each.schema for each in table.all_indexes() if each.name == name]
    hashes = [key["AttributeName"] for each in schemas for key in each if key["KeyType"] == "HASH"]
    items: dict[Any, Any] = table.items
    if hash_key is None or hash_key.is_number() or len(hashes) != 1 or not table.range_key_attr:
        return items
    (attribute,) = hashes

    def has_it(row: Item) -> bool:
        found = row.attrs.get(attribute)
        return found is not None and (found.type, found.value) == (hash_key.type, hash_key.value)

    kept = {
        key: {sort_key: row for sort_key, row in rows.items() if has_it(row)}
        for key, rows in items.items()
    }
    return {key: rows for key, rows in kept.items() if rows}


def serialize(
    self: BaseJSONSerializer,
    moto: Callable[..., None],
    serialized: dict[str, Any],
    value: Any,
    shape: StructureShape,
    key: str,
) -> None:
    """Serialize a value with its type, by its type.

    moto's looks for each of the ten types, by seven other names first, which objects may have.
    """
    if shape.name != TYPED_VALUE or type(value) is not dict:
        moto(self, serialized, value, shape, key)
        return
    typed: dict[str, Any] = {}
    for name, content in value.items():
        self._serialize(typed, content, shape.members[name], name)
    self._default_serialize(serialized, typed, shape, key)


def traverse(self: DepthFirstTraverser, node: Any, child_id: int = -1) -> Any:
    """Process the nodes of a kind, from the leaves up.

    moto's asks for the kinds anew at every node, and abstract classes are slow to ask.
    """
    kinds = tuple(self.nodes_to_be_processed())

    def visit(node: Node, child_id: int) -> Node:
        parent = node.parent
        for i, child in enumerate(node.children or ()):
            self.pre_processing_of_child(node, i)
            if is_kind(type(child), Node):
                visit(child, i)
        if is_kind(type(node), kinds):
            node = self.process(node)
            node.parent = parent
            if parent:
                parent.children[child_id] = node
        return node

    return visit(node, child_id)
