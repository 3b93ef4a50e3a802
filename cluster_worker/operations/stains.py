"""Stains of microscope slides: the amount of each stain at a pixel."""

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, Literal

import numpy as np

from cluster_worker.kernels import colours
from cluster_worker.lazy import lazily
from cluster_worker.operations.color import IN_GROUPS, as_float, converted
from cluster_worker.operations.declare import Image, Kernel, operation
from cluster_worker.pixels.depths import to_depth

color = lazily("skimage.color")

Stain = Literal["all", "first", "second", "third"]
# The names of scikit-image's matrices.
Stains = Annotated[
    Literal["hed", "hdx", "fgx", "bex", "rbd", "gdx", "hax", "bro", "bpx", "ahx", "hpx"],
    "The stains of the slide: hed is hematoxylin, eosin and DAB; hdx hematoxylin and DAB; fgx "
    "Feulgen and light green; bex methyl blue and eosin (Giemsa); rbd fast red, fast blue and DAB; "
    "gdx methyl green and DAB; hax hematoxylin and AEC; bro aniline blue, azocarmine and orange G; "
    "bpx methyl blue and Ponceau fuchsin; ahx alcian blue and hematoxylin; hpx hematoxylin and "
    "PAS.",
]
# Darker colours count as this one, as in scikit-image: 0 has no logarithm.
LEAST = 1e-6


def darkness_of(image: Image) -> Image:
    """Return the darkness of each colour: from 0 for white to 1 for `LEAST` and less."""
    darkness: Image = np.log(np.maximum(as_float(image), LEAST)) / np.log(LEAST)
    return darkness


@lru_cache(maxsize=2)
def darkness_table(dtype: str) -> Image:
    """Return the darkness of every level of an integer type, as float32."""
    levels = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
    return darkness_of(to_depth(levels, "float32"))


def amounts_by_table(
    image: Image,
    conv_matrix: Stains = "hed",
    stain: Stain = "all",
    *,
    dtype: str,
    out: Image | None,
) -> Image:
    """Compute `separate_stains` with a table of the darkness of each level."""
    weights = getattr(color, f"{conv_matrix}_from_rgb").T
    return colours.weighed(
        image,
        table=darkness_table(str(image.dtype)),
        weights=weights if stain == "all" else weights[stain_index(stain)],
        dtype=dtype,
        out=out,
    )


def combine_by_table(
    image: Image, conv_matrix: Stains, stain: Stain, *, dtype: str, out: Image | None
) -> Image:
    """Compute `isolate_stain` with a table of the darkness of each level."""
    stains = slice(None) if stain == "all" else [stain_index(stain)]
    return colours.stained(
        image,
        table=darkness_table(str(image.dtype)),
        amounts=getattr(color, f"{conv_matrix}_from_rgb").T[stains],
        colours=getattr(color, f"rgb_from_{conv_matrix}").T[:, stains] * np.log(LEAST),
        dtype=dtype,
        out=out,
    )


# Kernels for images of integers.
AMOUNTS = Kernel(amounts_by_table, takes=("uint8", "uint16"), arrays=0, cost=0.5, tolerance=1e-6)
COLOURS = Kernel(combine_by_table, takes=("uint8", "uint16"), arrays=0, cost=0.4, tolerance=1e-6)


def stain_operation(
    title: str, shows: Literal["extent"] | None, *kernels: Kernel
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare an operation on stains, which computes in double precision as scikit-image does."""
    return operation(
        title,
        "Colour",
        IN_GROUPS,
        channels="rgb",
        floats=True,
        shows=shows,
        arrays=10,
        cost=3.0,
        kernels=kernels,
    )


@stain_operation("Stains (hematoxylin, eosin, DAB)", "extent", AMOUNTS)
def rgb2hed(image: Image) -> Image:
    """Compute the amounts of hematoxylin, eosin and DAB in the colours of a stained slide.

    References
    ----------
    skimage.color.rgb2hed
    """
    return converted(color.rgb2hed, image)


@stain_operation("Stains to RGB", None)
def hed2rgb(image: Image) -> Image:
    """Convert amounts of hematoxylin, eosin and DAB back to RGB; use it after rgb2hed.

    References
    ----------
    skimage.color.hed2rgb
    """
    return converted(color.hed2rgb, image)


@stain_operation("Amount of one stain", "extent", AMOUNTS)
def separate_stains(image: Image, conv_matrix: Stains = "hed", stain: Stain = "first") -> Image:
    """Compute the amount of one stain by colour deconvolution; pixels with much of it are bright.

    Parameters
    ----------
    stain : str
        Which stain of `conv_matrix`, in its order; "all" gives an image of three channels.

    References
    ----------
    skimage.color.separate_stains
    """
    found = converted(color.separate_stains, image, getattr(color, f"{conv_matrix}_from_rgb"))
    return found if stain == "all" else found[..., stain_index(stain)]


@stain_operation("Amounts of stains to RGB", None)
def combine_stains(image: Image, conv_matrix: Stains = "hed") -> Image:
    """Convert the amounts of three stains back to RGB; use it after separate_stains.

    References
    ----------
    skimage.color.combine_stains
    """
    return converted(color.combine_stains, image, getattr(color, f"rgb_from_{conv_matrix}"))


@stain_operation("One stain in its colour", None, COLOURS)
def isolate_stain(image: Image, conv_matrix: Stains = "hed", stain: Stain = "first") -> Image:
    """Show one stain of a slide in its own colour, without the other stains.

    Parameters
    ----------
    stain : str
        Which stain of `conv_matrix`, in its order; "all" leaves the image nearly unchanged.

    References
    ----------
    skimage.color.combine_stains, after skimage.color.separate_stains
    """
    found = converted(color.separate_stains, image, getattr(color, f"{conv_matrix}_from_rgb"))
    if stain != "all":
        others = [i for i in range(3) if i != stain_index(stain)]
        found[..., others] = 0
    return converted(color.combine_stains, found, getattr(color, f"rgb_from_{conv_matrix}"))


def stain_index(stain: Stain) -> int:
    """Return the channel of a stain, from 0."""
    return ("first", "second", "third").index(stain)
