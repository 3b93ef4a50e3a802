"""Features: edges."""

from dataclasses import replace
from functools import partial
from typing import Annotated

from cluster_worker.operations.declare import Composed, Number, Part, operation
from cluster_worker.operations.edge_lines import (
    Blur,
    Border,
    canny_lines,
    lines_by_quantiles,
    linked,
    of_magnitude,
    shares_of,
    slopes,
)
from cluster_worker.operations.filters import reach
from cluster_worker.operations.propagation import contacts, marked
from cluster_worker.operations.quantiles import quantiles

Threshold = Annotated[float | None, Number(0, 1, slider=(0, 1), step=0.01)]


@operation(
    "Edge detection",
    "Features",
    Composed("propagating"),
    channels="gray",
    floats=True,
    arrays=12,
    cost=lambda sigma, mode, **_: 5 + sigma * (1 if mode == "constant" else 0.5),
)
def canny(
    sigma: Annotated[float, Number(0.1, 100, unit="px", slider=(0.3, 10), step=0.1)] = 1.0,
    low_threshold: Threshold = None,
    high_threshold: Threshold = None,
    use_quantiles: bool = False,
    mode: Border = "constant",
    cval: Annotated[float, Number(0, 1, slider=(0, 1), step=0.01)] = 0.0,
) -> tuple[Part, ...]:
    """Find edges as thin lines with Canny's method.

    Parameters
    ----------
    sigma : float
        Standard deviation of the blur that goes before; more finds fewer, coarser edges.
    low_threshold : float, optional
        Slope at which an edge is still followed; automatic is 0.1.
    high_threshold : float, optional
        Slope at which an edge begins; automatic is 0.2.
    use_quantiles : bool
        Whether the thresholds are shares of the pixels, those of gentler slopes, instead of slopes.
    mode : str
        What lies beyond the image's border for the blur: nothing or a value ("constant"), its last
        pixel ("nearest"), its mirror image with or without the last pixel twice ("reflect",
        "mirror"), or its opposite edge ("wrap").
    cval : float
        Value beyond the border where `mode` is "constant".

    References
    ----------
    skimage.feature.canny
    """
    halo = reach(sigma) + 1
    wraps = mode == "wrap"
    blur = Blur(sigma, mode, cval)
    follow = (Part(linked), Part(marked, measures=(contacts(2),)))
    given = (low_threshold, high_threshold)
    if not use_quantiles:
        found = partial(canny_lines, given=given, blur=blur)
        return (Part(found, halo + 1, wraps=wraps), *follow)
    shares = shares_of(*given)
    measures = tuple(replace(each, of=partial(of_magnitude, each.of)) for each in quantiles(shares))
    return (
        Part(partial(slopes, blur=blur), halo, wraps=wraps),
        Part(partial(lines_by_quantiles, shares=shares), 1, measures),
        *follow,
    )
