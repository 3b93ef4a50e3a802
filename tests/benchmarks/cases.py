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
    target : float
        How many times faster than serial scikit-image two ranks must be, on 24 megapixels.
    picture : str
        Kind of the image, as in `images.pictured`.
    share : int
        Factor by which the image has fewer pixels, where scikit-image would take minutes.
    """

    name: str
    step: dict
    target: float
    picture: str = "gray"
    share: int = 1


def square(radius):
    return {"footprint": "square", "radius": radius}


CASES = (
    Case("gaussian σ=2 RGB", {"operation": "gaussian", "sigma": 2.0}, 18, picture="colours"),
    Case("gaussian σ=5 RGB", {"operation": "gaussian", "sigma": 5.0}, 20, picture="colours"),
    Case("median 3×3", {"operation": "median", **square(1)}, 900),
    Case("median 5×5", {"operation": "median", **square(2)}, 1400),
    Case("sobel", {"operation": "sobel"}, 14),
    Case("erosion 5×5", {"operation": "erosion", **square(2)}, 180),
    Case("dilation 5×5", {"operation": "dilation", **square(2)}, 180),
    Case("otsu", {"operation": "threshold_otsu"}, 12),
    Case("unsharp RGB", {"operation": "unsharp_mask", "radius": 1.0}, 20, picture="colours"),
    Case("equalize_hist", {"operation": "equalize_hist"}, 90),
    Case("CLAHE", {"operation": "equalize_adapthist"}, 8),
    Case("canny", {"operation": "canny"}, 6),
    Case("resize ½", {"operation": "rescale", "scale": 0.5}, 40),
    Case("nl_means", {"operation": "denoise_nl_means"}, 4, share=24),
    Case("threshold_local", {"operation": "threshold_local"}, 14),
    Case("rgb2gray", {"operation": "rgb2gray"}, 14, picture="colours"),
    Case("invert", {"operation": "invert"}, 1),
)


@dataclass(frozen=True)
class BestCase:
    """One row of the table of what other libraries are best at.

    Attributes
    ----------
    name, step, picture
        As in `Case`.
    shape : tuple of int
        (rows, columns) of the image.
    """

    name: str
    step: dict
    picture: str = "gray"
    shape: tuple[int, int] = (1536, 2048)


def disk(radius):
    return {"footprint": "disk", "radius": radius}


# Where scikit-image, or a peer, would take many seconds.
SMALLER, SMALL = (512, 512), (256, 256)
BEST = (
    BestCase("median, disk 5", {"operation": "median", **disk(5)}, shape=SMALL),
    BestCase("median, disk 15", {"operation": "median", **disk(15)}, shape=SMALL),
    BestCase("median, disk 5, 12 bits", {"operation": "median", **disk(5)}, "12 bits", SMALL),
    BestCase("median, disk 15, 12 bits", {"operation": "median", **disk(15)}, "12 bits", SMALL),
    BestCase(
        "rank_percentile, disk 15",
        {"operation": "rank_percentile", "p0": 0.5, **disk(15)},
        shape=SMALLER,
    ),
    BestCase("label", {"operation": "label"}, "mask"),
    BestCase("remove_small_objects", {"operation": "remove_small_objects"}, "mask"),
    BestCase("fill holes", {"operation": "remove_small_holes", "max_size": 1_000_000}, "mask"),
    BestCase("clear_border", {"operation": "clear_border"}, "mask"),
    BestCase("expand_labels 10", {"operation": "expand_labels", "distance": 10}, "labels"),
    BestCase("isotropic_erosion 10", {"operation": "isotropic_erosion", "radius": 10}, "mask"),
    BestCase("isotropic_dilation 10", {"operation": "isotropic_dilation", "radius": 10}, "mask"),
    BestCase("h_maxima", {"operation": "h_maxima"}, "floats"),
    BestCase("reconstruction", {"operation": "reconstruction"}, "floats"),
    BestCase("local_maxima", {"operation": "local_maxima"}),
    BestCase("area_opening", {"operation": "area_opening"}, shape=SMALLER),
    BestCase("gaussian σ=20", {"operation": "gaussian", "sigma": 20.0}),
    BestCase("gaussian σ=20 RGB", {"operation": "gaussian", "sigma": 20.0}, "colours"),
    BestCase("rotate 17°", {"operation": "rotate", "angle": 17.0}),
    BestCase("denoise_bilateral", {"operation": "denoise_bilateral"}, shape=SMALLER),
    BestCase("CLAHE", {"operation": "equalize_adapthist"}),
    BestCase("canny", {"operation": "canny"}),
    BestCase("watershed", {"operation": "watershed", "markers": 500}),
    BestCase("slic", {"operation": "slic"}, "colours", SMALLER),
    BestCase("felzenszwalb", {"operation": "felzenszwalb"}, "colours", SMALLER),
    BestCase("chan_vese", {"operation": "chan_vese"}, shape=SMALLER),
    BestCase("tv_chambolle", {"operation": "denoise_tv_chambolle"}),
    BestCase("skeletonize", {"operation": "skeletonize"}, "mask"),
)
