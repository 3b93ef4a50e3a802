"""What moto does slowly for every request, done quickly and to the same end.

moto stands in for AWS on one machine, where all that it takes is taken from the images.
"""

from collections.abc import Callable
from functools import cache, lru_cache, partialmethod
from typing import Any

from moto import backends
from moto.core.serialize import AttributePicker, AttributePickerContext
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser, Node
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.dynamodb.parsing.validators import ActionCountValidator, OverlappingPathsValidator

# Where moto's query is told of an index, after the limit, the start, the order and the projection.
INDEX_NAME = 4
# Expressions that are kept: the app writes some dozens.
PARSED_MAX = 256
# A service, and its name of a value with its type, of which each has one of ten.
TYPED_VALUE = ("dynamodb", "AttributeValue")


def take_places() -> None:
    """Put this module's functions in the places of moto's."""
    Table.query = partialmethod(query, Table.query)
    # It looks into moto's folder, twice for each request.
    names = backends.list_of_moto_modules
    backends.list_of_moto_modules = cache(lambda: tuple(names()))
    AttributePicker.__call__ = partialmethod(pick, AttributePicker.__call__)
    DepthFirstTraverser.traverse_node_recursively = traverse
    # Who changes what was parsed copies it first.
    UpdateExpressionParser.make = lru_cache(PARSED_MAX)(UpdateExpressionParser.make)
    # They look at all that is below a node: to ask them of the root is enough.
    ActionCountValidator.traverse = ActionCountValidator.verify_action_counts
    OverlappingPathsValidator.traverse = OverlappingPathsValidator.check_for_overlapping_paths


def query(
    self: Table,
    moto: Callable[..., Any],
    hash_key: DynamoType,
    comparison: str | None,
    values: list[DynamoType],
    *others: Any,
    **named: Any,
) -> Any:
    """Give moto only the rows in the range that is asked for.

    moto's looks at all rows of the table, and sizes up all that share the hash key.
    """
    table, rows = self, self.items.get(hash_key)
    if rows and comparison and others[INDEX_NAME] is None:
        kept = {key: row for key, row in rows.items() if key.compare(comparison, values)}
        # Not by its class, which would keep every table that it makes.
        table = object.__new__(Table)
        table.__dict__.update(self.__dict__, items={hash_key: kept})
    return moto(table, hash_key, comparison, values, *others, **named)


def pick(self: AttributePicker, moto: Callable[..., Any], context: AttributePickerContext) -> Any:
    """Read a value's type by its name.

    moto's looks for each of the ten types by seven other names first, which objects may have.
    """
    parent = getattr(context.shape, "parent", None)
    name = (context.service_model.service_name, getattr(parent, "name", ""))
    if name == TYPED_VALUE and type(context.obj) is dict:
        return context.obj.get(context.key)
    return moto(self, context)


def traverse(self: DepthFirstTraverser, node: Any, child_id: int = -1) -> Any:
    """Process the nodes of a kind, from the leaves up.

    moto's asks for the kinds anew at every node.
    """
    kinds = self.nodes_to_be_processed()

    def visit(node: Any, child_id: int) -> Any:
        if not isinstance(node, Node):
            return node
        parent = node.parent
        for i, child in enumerate(node.children or ()):
            self.pre_processing_of_child(node, i)
            visit(child, i)
        if isinstance(node, kinds):
            node = self.process(node)
            node.parent = parent
            if parent:
                parent.children[child_id] = node
        return node

    return visit(node, child_id)
