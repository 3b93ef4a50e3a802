"""The catalogue: every operation that a chain may use, by name."""

from typing import Any

# The catalogue lists operations in the order in which these come.
# isort: off
from cluster_worker.operations import (
    color,
    filters,
    edges,
    exposure,
    feature,
    morphology,
    isotropic,
    skeletons,
    convex_hull,
    max_trees,
    rank,
    rank_contrast,
    total_variation,
    denoising,
    deconvolution,
    rolling_ball,
    ridges,
    labels,
    extrema,
    flood_fill,
    boundaries,
    watershed,
    superpixels,
    active_contours,
    sizes,
    pyramids,
    local_means,
    thresholds,
    local_thresholds,
    hysteresis,
    transform,
    util,
    affine,
    warps,
)

# isort: on
from cluster_worker.operations.declare import OPERATIONS, Image, Operation

__all__ = [
    "OPERATIONS",
    "Image",
    "Operation",
    "active_contours",
    "affine",
    "boundaries",
    "catalogue",
    "color",
    "convex_hull",
    "deconvolution",
    "denoising",
    "edges",
    "exposure",
    "extrema",
    "feature",
    "filters",
    "flood_fill",
    "hysteresis",
    "isotropic",
    "labels",
    "local_means",
    "local_thresholds",
    "max_trees",
    "morphology",
    "pyramids",
    "rank",
    "rank_contrast",
    "ridges",
    "rolling_ball",
    "sizes",
    "skeletons",
    "superpixels",
    "thresholds",
    "total_variation",
    "transform",
    "util",
    "warps",
    "watershed",
]


def catalogue() -> dict[str, Any]:
    """Export the catalogue as API and site read it: JSON Schema for each operation."""
    return {"version": 1, "operations": [each.entry() for each in OPERATIONS.values()]}
