"""The catalogue: every operation that a chain may use, by name.

Each file of this folder is a family of operations and is imported here, so that its operations
enter the catalogue. A new file needs no entry. The folders are no families: `declare` is what an
operation is declared by, `support` what several families share.
"""

import importlib
import pkgutil
from typing import Any

from cluster_worker.operations.declare import OPERATIONS, Image, Operation

__all__ = ["FAMILIES", "OPERATIONS", "Image", "Operation", "catalogue"]

# The order of the catalogue, of its groups and of the site's menu: a group comes where its first
# operation does. Files that are not named here follow by name; within its group, a new file's
# operations then come last.
FAMILIES = (
    "color",
    "stains",
    "label_colours",
    "filters",
    "frequencies",
    "edges",
    "exposure",
    "adapthist",
    "feature",
    "descriptors",
    "morphology",
    "isotropic",
    "skeletons",
    "convex_hull",
    "max_trees",
    "rank",
    "rank_contrast",
    "total_variation",
    "denoising",
    "deconvolution",
    "rolling_ball",
    "ridges",
    "labels",
    "extrema",
    "flood_fill",
    "boundaries",
    "watershed",
    "superpixels",
    "active_contours",
    "sizes",
    "pyramids",
    "local_means",
    "thresholds",
    "local_thresholds",
    "hysteresis",
    "transform",
    "util",
    "affine",
    "warps",
)


def import_families() -> None:
    """Import every file that declares operations, in the catalogue's order."""
    files = sorted(each.name for each in pkgutil.iter_modules(__path__) if not each.ispkg)
    unnamed = [name for name in files if name not in (*FAMILIES, "__main__")]
    for name in (*FAMILIES, *unnamed):
        importlib.import_module(f"{__name__}.{name}")


def catalogue() -> dict[str, Any]:
    """Export the catalogue as API and site read it: JSON Schema for each operation."""
    return {"version": 1, "operations": [each.entry() for each in OPERATIONS.values()]}


import_families()
