"""The check of a chain's steps against the catalogue of operations."""

import json
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from cluster_worker.errors import Rejected
from cluster_worker.operations import catalogue
from config.contract import recipe

STEPS_MAX = 20

# The exported catalogue, built once.
operation_catalogue = cache(catalogue)


def checked_steps(steps: Sequence[Mapping[str, Any]]) -> str:
    """Check steps, and return them as JSON with every parameter present.

    Raises
    ------
    Rejected
        With one sentence: where, what rule, what was found.
    """
    try:
        try:
            return checked_json(json.dumps(steps))
        except (TypeError, RecursionError):
            # The steps hold what JSON cannot express, or are nested too deeply for it. `check`
            # raises one sentence that says where. It accepts mappings that are no dict.
            return json.dumps(recipe.check(steps, operation_catalogue(), STEPS_MAX))
    except ValueError as error:
        raise Rejected(str(error)) from error


@lru_cache(maxsize=256)
def checked_json(steps: str) -> str:
    """Check steps given as JSON, with a cache; raises ValueError."""
    return json.dumps(recipe.check(json.loads(steps), operation_catalogue(), STEPS_MAX))
