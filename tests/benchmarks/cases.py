"""The operations that are compared with every peer, and what each peer calls them.

A peer's function takes the image as it lies in memory and returns its result as an array. A peer
that has no such operation is left out, unless its own users would write the operation in a line or
two.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes
    ----------
    name : str
        Name of the row.
    step : mapping
        Step, as in the API.
    colours : bool
        Whether the image is RGB; otherwise it is gray.
    target : float
        How many times faster than serial scikit-image two ranks must be, on 24 megapixels.
    share : int
        Factor by which the image has fewer pixels, where scikit-image would take minutes.
    """

    name: str
    step: dict
    target: float
    colours: bool = False
    share: int = 1


def square(radius):
    return {"footprint": "square", "radius": radius}


CASES = (
    Case("gaussian σ=2 RGB", {"operation": "gaussian", "sigma": 2.0}, 18, colours=True),
    Case("gaussian σ=5 RGB", {"operation": "gaussian", "sigma": 5.0}, 20, colours=True),
    Case("median 3×3", {"operation": "median", **square(1)}, 900),
    Case("median 5×5", {"operation": "median", **square(2)}, 1400),
    Case("sobel", {"operation": "sobel"}, 14),
    Case("erosion 5×5", {"operation": "erosion", **square(2)}, 180),
    Case("dilation 5×5", {"operation": "dilation", **square(2)}, 180),
    Case("otsu", {"operation": "threshold_otsu"}, 12),
    Case("unsharp RGB", {"operation": "unsharp_mask", "radius": 1.0}, 20, colours=True),
    Case("equalize_hist", {"operation": "equalize_hist"}, 90),
    Case("CLAHE", {"operation": "equalize_adapthist"}, 8),
    Case("canny", {"operation": "canny"}, 6),
    Case("resize ½", {"operation": "rescale", "scale": 0.5}, 40),
    Case("nl_means", {"operation": "denoise_nl_means"}, 4, share=24),
    Case("threshold_local", {"operation": "threshold_local"}, 14),
    Case("rgb2gray", {"operation": "rgb2gray"}, 14, colours=True),
    Case("invert", {"operation": "invert"}, 1),
)
