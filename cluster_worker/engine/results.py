"""What a run gives back: one image, or several with tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.engine.job import EngineJob
from cluster_worker.engine.tables import Table
from cluster_worker.errors import Rejected
from cluster_worker.pixels.header import ImageHeader, header_of
from cluster_worker.plan.recipe import plan_any
from cluster_worker.plan.request import Depth, Request

Image = NDArray[Any]


@dataclass(frozen=True)
class Results:
    """All results of a recipe.

    Attributes
    ----------
    image : ndarray
        The last image.
    images : mapping of str to ndarray
        The kept images by the ids of their steps.
    tables : mapping of str to Table
        The tables by the ids of their steps; one without an id has its operation's name. A table is
        a dict of arrays, with ``to_csv(path)``.
    """

    image: Image
    images: Mapping[str, Image]
    tables: Mapping[str, Table]


def results_of(job: EngineJob) -> Image | Results:
    """Return copies of what a job has made: an array if it is one image only."""
    image = job.result.copy()
    if not job.kept and not job.tables:
        return image
    return Results(image, {name: each.copy() for name, each in job.kept.items()}, job.tables)


def headers_of(inputs: Mapping[str, Image], depth: Depth) -> dict[str, ImageHeader]:
    """Return the headers of other images; natively no channel is alpha."""
    alpha = False if depth == "native" else None
    return {name: header_of(each.shape, each.dtype.name, alpha) for name, each in inputs.items()}


def fill(job: EngineJob, inputs: Mapping[str, Image]) -> None:
    """Copy other images into the memory of a job."""
    for name, each in inputs.items():
        np.copyto(job.inputs[name], each)


def refuse_several(request: Request) -> None:
    """Check that a recipe gives one image, where no others are taken.

    Raises
    ------
    Rejected
        If it keeps images or gives tables.
    """
    planned = plan_any(request)
    if planned.kept or planned.tables:
        raise Rejected(
            "steps: keep images or give tables, and this run gives one image; run them on an array"
        )
