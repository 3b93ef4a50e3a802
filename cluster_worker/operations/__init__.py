"""The catalogue: every operation that a chain may use, by name."""

from typing import Any

from cluster_worker.operations import (
    color,
    edges,
    exposure,
    feature,
    filters,
    footprints,
    morphology,
    propagation,
    rank,
    restoration,
    ridges,
    segmentation,
    sizes,
    statistics,
    thresholds,
    transform,
    util,
    warps,
)
from cluster_worker.operations.declare import OPERATIONS, Image, Operation

__all__ = [
    "OPERATIONS",
    "Image",
    "Operation",
    "catalogue",
    "color",
    "edges",
    "exposure",
    "feature",
    "filters",
    "footprints",
    "morphology",
    "propagation",
    "rank",
    "restoration",
    "ridges",
    "segmentation",
    "sizes",
    "statistics",
    "thresholds",
    "transform",
    "util",
    "warps",
]


def catalogue() -> dict[str, Any]:
    """Export the catalogue as API and site read it: JSON Schema for each operation."""
    return {"version": 1, "operations": [each.entry() for each in OPERATIONS.values()]}
