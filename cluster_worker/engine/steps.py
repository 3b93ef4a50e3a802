"""The check of a chain's steps against the catalogue of operations."""

import json
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from cluster_worker.errors import Rejected
from cluster_worker.operations import catalogue
from config.contract import recipe, references

STEPS_MAX = 20

# The exported catalogue, built once.
operation_catalogue = cache(catalogue)


def checked_steps(steps: Sequence[Mapping[str, Any]], inputs: Sequence[str] = ()) -> str:
    """Check steps, and return them as JSON with every parameter present.

    `inputs` are the names of the other images that are given.

    Raises
    ------
    Rejected
        With one sentence: where, what rule, what was found.
    """
    try:
        try:
            return checked_json(json.dumps(steps), tuple(inputs))
        except (TypeError, RecursionError):
            # The steps hold what JSON cannot express, or are nested too deeply for it. `check`
            # raises one sentence that says where. It accepts mappings that are no dict.
            return json.dumps(recipe.check(steps, operation_catalogue(), STEPS_MAX, inputs))
    except ValueError as error:
        raise Rejected(str(error)) from error


@lru_cache(maxsize=256)
def checked_json(steps: str, inputs: tuple[str, ...]) -> str:
    """Check steps given as JSON, with a cache; raises ValueError."""
    return json.dumps(recipe.check(json.loads(steps), operation_catalogue(), STEPS_MAX, inputs))


@lru_cache(maxsize=256)
def are_chain(steps: str) -> bool:
    """Return whether checked steps form a plain chain, which gives one image."""
    return references.is_chain(json.loads(steps), recipe.by_name(operation_catalogue()))
