"""Morphology: grow and shrink what is bright, thin it, and fill its outline."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from skimage import morphology

from cluster_worker.kernels import axes, trees
from cluster_worker.kernels import morphology as fast
from cluster_worker.kernels import thinning as layers
from cluster_worker.operations.declare import (
    Composed,
    Image,
    Iterative,
    Kernel,
    Local,
    Measure,
    Number,
    Part,
    Place,
    Rounds,
    Statistical,
    Whole,
    each_channel,
    operation,
)
from cluster_worker.operations.footprints import (
    Footprint,
    HalfWidth,
    Radius,
    footprint_of,
    footprint_reach,
    footprint_table,
)

# Costs, measured against a Gaussian of one pixel.
COST_SEPARATE = 1.5
COST_PIXEL = 0.09
COST_DISTANCE = 7.0
COST_FAST = 0.01
COST_FAST_PIXEL = 0.001
COST_AREA = 2.5
COST_AXIS = 4.0
COST_DIAMETER = 3.0

# scikit-image's "min" and "max" are left out: for whole numbers they are "constant" with a level of
# 0 or 1, and for floats they would lay infinity round the image.
Border = Literal["reflect", "ignore", "nearest", "mirror", "wrap", "constant"]
Cval = Annotated[float, Number(0, 1, slider=(0, 1), step=0.01)]


def once(footprint: Footprint, radius: int, half_width: int | None, **_: Any) -> int:
    """Halo of one erosion or dilation."""
    return footprint_reach(footprint, radius, half_width)


def twice(footprint: Footprint, radius: int, half_width: int | None, **_: Any) -> int:
    """Halo of an erosion and a dilation, one after the other."""
    return 2 * footprint_reach(footprint, radius, half_width)


def work(footprint: Footprint, radius: int, half_width: int | None, **_: Any) -> float:
    """Cost of one erosion or dilation: a square goes by rows and columns, others by pixel."""
    if footprint in ("square", "rectangle"):
        return COST_SEPARATE
    return 1.0 + COST_PIXEL * int(footprint_of(footprint, radius, half_width).sum())


def work_twice(**parameters: Any) -> float:
    """Cost of an erosion and a dilation."""
    return 2 * work(**parameters)


def fast_work(footprint: Footprint, radius: int, half_width: int | None, **_: Any) -> float:
    """Cost of an erosion or dilation by its kernel."""
    mask = footprint_of(footprint, radius, half_width)
    pixels = sum(mask.shape) if footprint in ("square", "rectangle") else int(mask.sum())
    return COST_FAST + COST_FAST_PIXEL * pixels


def filtered(
    function: Callable[..., Image],
    image: Image,
    neighbourhood: NDArray[Any],
    mode: Border,
    cval: float,
) -> Image:
    """Run one of scikit-image's gray filters on every colour.

    `cval` is a share of white, since the image's type may be any.

    Raises
    ------
    ValueError
        If the image holds NaN and the neighbourhood is a full rectangle. scipy then goes along
        rows and columns and keeps the least value so far, so that what follows a NaN depends on
        where the image begins.
    """
    if image.dtype.kind == "f" and neighbourhood.all() and np.isnan(image).any():
        raise ValueError("takes no image with NaN for a neighbourhood that is a rectangle")
    level = cval * np.iinfo(image.dtype).max if image.dtype.kind == "u" else cval
    return each_channel(lambda plane: function(plane, neighbourhood, mode=mode, cval=level), image)


def slanted_table(
    footprint: Footprint, radius: int, half_width: int | None = None, **_: Any
) -> int:
    """Give the bytes by which scipy filters with a footprint; a rectangle goes by its sides."""
    if footprint in ("square", "rectangle"):
        return 0
    return footprint_table(footprint, radius, half_width)


def by_strips(by: fast.Filter, function: Callable[..., Image], steps: int) -> Kernel:
    """Declare the kernel of a filter that goes over the image so many times."""

    def model(image: Image, neighbourhood: NDArray[Any], mode: Border, cval: float) -> Image:
        return filtered(function, image, neighbourhood, mode, cval)

    return Kernel(
        partial(fast.filtered, by=by, steps=steps, model=model),
        takes=fast.TYPES,
        exact=True,
        arrays=0,
        cost=lambda **parameters: steps * fast_work(**parameters),
    )


def by_networks(brightest: bool) -> Kernel:
    """Declare the kernel of one erosion or dilation by a small neighbourhood."""
    return Kernel(
        partial(fast.spread, brightest=brightest),
        takes=("bool", "uint8", "uint16"),
        when=fast.is_small,
        exact=True,
        arrays=0,
        cost=COST_FAST,
    )


@operation(
    "Dilation",
    "Morphology",
    Local(once),
    cost=work,
    arrays=3,
    table=slanted_table,
    kernels=(
        by_networks(brightest=True),
        by_strips(fast.greatest, morphology.dilation, 1),
    ),
)
def dilation(
    image: Image,
    footprint: Footprint = "diamond",
    radius: Radius = 1,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Cval = 0.0,
) -> Image:
    """Grow bright regions: each pixel takes the brightest value of its neighbourhood.

    Parameters
    ----------
    footprint : str
        Shape of the neighbourhood.
    radius : int
        How far the neighbourhood reaches from its centre; the tips of a star half as far again.
    half_width : int, optional
        How far a rectangle or an ellipse reaches to the left and right, if not as far as up and
        down.
    mode : str
        What lies beyond the image's border: its mirror image (with or without the last pixel
        twice), nothing, its last pixel, the opposite edge, or one level.
    cval : float
        That level, as a share of white, if `mode` is constant.

    References
    ----------
    skimage.morphology.dilation
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return filtered(morphology.dilation, image, neighbourhood, mode, cval)


@operation(
    "Erosion",
    "Morphology",
    Local(once),
    cost=work,
    arrays=3,
    table=slanted_table,
    kernels=(
        by_networks(brightest=False),
        by_strips(fast.least, morphology.erosion, 1),
    ),
)
def erosion(
    image: Image,
    footprint: Footprint = "diamond",
    radius: Radius = 1,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Cval = 0.0,
) -> Image:
    """Shrink bright regions: each pixel takes the darkest value of its neighbourhood.

    Parameters
    ----------
    footprint : str
        Shape of the neighbourhood.
    radius : int
        How far the neighbourhood reaches from its centre; the tips of a star half as far again.
    half_width : int, optional
        How far a rectangle or an ellipse reaches to the left and right, if not as far as up and
        down.
    mode : str
        What lies beyond the image's border: its mirror image (with or without the last pixel
        twice), nothing, its last pixel, the opposite edge, or one level.
    cval : float
        That level, as a share of white, if `mode` is constant.

    References
    ----------
    skimage.morphology.erosion
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return filtered(morphology.erosion, image, neighbourhood, mode, cval)


@operation(
    "Opening",
    "Morphology",
    Local(twice),
    cost=work_twice,
    arrays=3,
    table=slanted_table,
    kernels=(by_strips(fast.opened, morphology.opening, 2),),
)
def opening(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Cval = 0.0,
) -> Image:
    """Remove bright specks and thin bright lines; what is larger keeps its shape.

    An erosion, then a dilation with the same neighbourhood.

    Parameters
    ----------
    footprint : str
        Shape of the neighbourhood.
    radius : int
        How far the neighbourhood reaches from its centre; the tips of a star half as far again.
    half_width : int, optional
        How far a rectangle or an ellipse reaches to the left and right, if not as far as up and
        down.
    mode : str
        What lies beyond the image's border: its mirror image (with or without the last pixel
        twice), nothing, its last pixel, the opposite edge, or one level.
    cval : float
        That level, as a share of white, if `mode` is constant.

    References
    ----------
    skimage.morphology.opening
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return filtered(morphology.opening, image, neighbourhood, mode, cval)


@operation(
    "Closing",
    "Morphology",
    Local(twice),
    cost=work_twice,
    arrays=3,
    table=slanted_table,
    kernels=(by_strips(fast.closed, morphology.closing, 2),),
)
def closing(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Cval = 0.0,
) -> Image:
    """Fill dark specks and thin dark gaps; what is larger keeps its shape.

    A dilation, then an erosion with the same neighbourhood.

    Parameters
    ----------
    footprint : str
        Shape of the neighbourhood.
    radius : int
        How far the neighbourhood reaches from its centre; the tips of a star half as far again.
    half_width : int, optional
        How far a rectangle or an ellipse reaches to the left and right, if not as far as up and
        down.
    mode : str
        What lies beyond the image's border: its mirror image (with or without the last pixel
        twice), nothing, its last pixel, the opposite edge, or one level.
    cval : float
        That level, as a share of white, if `mode` is constant.

    References
    ----------
    skimage.morphology.closing
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return filtered(morphology.closing, image, neighbourhood, mode, cval)


@operation(
    "Top hat (bright)",
    "Morphology",
    Local(twice),
    cost=work_twice,
    arrays=3,
    table=slanted_table,
    kernels=(by_strips(fast.above_opened, morphology.white_tophat, 2),),
)
def white_tophat(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 5,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Cval = 0.0,
) -> Image:
    """Keep only the bright details that are smaller than the neighbourhood, on black.

    The image minus its opening.

    Parameters
    ----------
    footprint : str
        Shape of the neighbourhood.
    radius : int
        How far the neighbourhood reaches from its centre; the tips of a star half as far again.
    half_width : int, optional
        How far a rectangle or an ellipse reaches to the left and right, if not as far as up and
        down.
    mode : str
        What lies beyond the image's border: its mirror image (with or without the last pixel
        twice), nothing, its last pixel, the opposite edge, or one level.
    cval : float
        That level, as a share of white, if `mode` is constant.

    References
    ----------
    skimage.morphology.white_tophat
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return filtered(morphology.white_tophat, image, neighbourhood, mode, cval)


@operation(
    "Top hat (dark)",
    "Morphology",
    Local(twice),
    cost=work_twice,
    arrays=3,
    table=slanted_table,
    kernels=(by_strips(fast.below_closed, morphology.black_tophat, 2),),
)
def black_tophat(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 5,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Cval = 0.0,
) -> Image:
    """Show only the dark details that are smaller than the neighbourhood, bright on black.

    The closing minus the image.

    Parameters
    ----------
    footprint : str
        Shape of the neighbourhood.
    radius : int
        How far the neighbourhood reaches from its centre; the tips of a star half as far again.
    half_width : int, optional
        How far a rectangle or an ellipse reaches to the left and right, if not as far as up and
        down.
    mode : str
        What lies beyond the image's border: its mirror image (with or without the last pixel
        twice), nothing, its last pixel, the opposite edge, or one level.
    cval : float
        That level, as a share of white, if `mode` is constant.

    References
    ----------
    skimage.morphology.black_tophat
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return filtered(morphology.black_tophat, image, neighbourhood, mode, cval)


Reach = Annotated[float, Number(0.5, 200, unit="px", slider=(1, 30), step=0.5)]


def shrunk(mask: Image, radius: float) -> Image:
    """Keep what lies farther than `radius` from every pixel that is not set.

    Notes
    -----
    Where no pixel is off, scipy measures the distance to a place outside the image; here
    nothing shrinks then, so that a tile without background does what the whole image does.
    """
    if mask.all():
        return np.ones(mask.shape, bool)
    result: Image = morphology.isotropic_erosion(mask, radius)
    return result


def grown(mask: Image, radius: float) -> Image:
    """Set what lies within `radius` of a pixel that is set, and nothing where none is."""
    if not mask.any():
        return np.zeros(mask.shape, bool)
    result: Image = morphology.isotropic_dilation(mask, radius)
    return result


@operation(
    "Erosion (round)",
    "Morphology",
    Local(lambda radius: int(radius)),
    channels="gray",
    takes="mask",
    cost=COST_DISTANCE,
    arrays=14,
)
def isotropic_erosion(image: Image, radius: Reach = 3.0) -> Image:
    """Shrink a mask by an exact distance on all sides.

    Parameters
    ----------
    radius : float
        How much is taken away from every edge.

    Notes
    -----
    In a mask without background scikit-image measures distances to a place outside the image;
    here nothing shrinks then.

    References
    ----------
    skimage.morphology.isotropic_erosion
    """
    return shrunk(image, radius)


@operation(
    "Dilation (round)",
    "Morphology",
    Local(lambda radius: int(radius)),
    channels="gray",
    takes="mask",
    cost=COST_DISTANCE,
    arrays=14,
)
def isotropic_dilation(image: Image, radius: Reach = 3.0) -> Image:
    """Grow a mask by an exact distance on all sides.

    Parameters
    ----------
    radius : float
        How much is added at every edge.

    Notes
    -----
    In an empty mask scikit-image measures distances to a place outside the image; here nothing
    grows then.

    References
    ----------
    skimage.morphology.isotropic_dilation
    """
    return grown(image, radius)


@operation(
    "Opening (round)",
    "Morphology",
    Local(lambda radius: 2 * int(radius)),
    channels="gray",
    takes="mask",
    cost=2 * COST_DISTANCE,
    arrays=14,
)
def isotropic_opening(image: Image, radius: Reach = 3.0) -> Image:
    """Remove from a mask what a disk does not fit into; corners become round.

    Parameters
    ----------
    radius : float
        Of the disk.

    Notes
    -----
    In a mask without background scikit-image measures distances to a place outside the image;
    here nothing shrinks then.

    References
    ----------
    skimage.morphology.isotropic_opening
    """
    return grown(shrunk(image, radius), radius)


@operation(
    "Closing (round)",
    "Morphology",
    Local(lambda radius: 2 * int(radius)),
    channels="gray",
    takes="mask",
    cost=2 * COST_DISTANCE,
    arrays=14,
)
def isotropic_closing(image: Image, radius: Reach = 3.0) -> Image:
    """Fill the gaps of a mask that a disk does not fit into.

    Parameters
    ----------
    radius : float
        Of the disk.

    Notes
    -----
    In an empty mask scikit-image measures distances to a place outside the image; here nothing
    grows then.

    References
    ----------
    skimage.morphology.isotropic_closing
    """
    return shrunk(grown(image, radius), radius)


# Iterations of thinning in one round, and so between two exchanges of halos. An iteration has two
# halves, each of which looks at the eight neighbours.
ITERATIONS = 16

# A pixel's neighbours make a code of 8 bits: the three above, the three below, left and right.
# These are the bits of the neighbours clockwise, from the one above on the left.
RING = (0, 1, 2, 7, 5, 4, 3, 6)

# For each set of neighbours, the lowest bit being the first of the ring, whether a pixel goes in
# the first half, the second, or both (3). It is scikit-image's table for the method of Zhang and
# Suen (1984), which keeps some corners that the conditions in their paper would take, and takes
# some that they would keep.
ZHANG_SUEN = (
    "0001001300311013000000002020303300000000300000000000000020003022"
    "0000000000000000000000000000000020000000200020003000000030003020"
    "0031001300000001000000000000000131000000000000002000000000000000"
    "2313001300000001000000000000000023010001000000003301000022002000"
)


def ring_of_codes() -> list[NDArray[np.bool_]]:
    """Tell which neighbours each of the 256 codes has, clockwise."""
    return [np.arange(256) >> bit & 1 == 1 for bit in RING]


def zhang_suen() -> tuple[bytes, bytes]:
    """Make the tables of both halves of an iteration of Zhang and Suen: 1 where a pixel stays."""
    places = sum(present.astype(int) << i for i, present in enumerate(ring_of_codes()))
    digits = np.array(list(ZHANG_SUEN))[places]
    return (~np.isin(digits, ["1", "3"])).tobytes(), (~np.isin(digits, ["2", "3"])).tobytes()


def guo_hall() -> tuple[bytes, bytes]:
    """Make the tables of both halves of an iteration of Guo and Hall (1989)."""
    return guo_hall_half(0), guo_hall_half(4)


def guo_hall_half(turn: int) -> bytes:
    """Tell for each code whether a pixel stays.

    It goes if one region touches it, if two or three of its neighbours count, and if it is on the
    side whose turn it is: north and east, or with a half turn south and west.
    """
    nw, n, ne, e, se, s, sw, w = ring = ring_of_codes()
    touched = sum(~a & (b | c) for a, b, c in ((e, ne, n), (n, nw, w), (w, sw, s), (s, se, e)))
    one_way = sum((a | b).astype(int) for a, b in ((ne, e), (nw, n), (sw, w), (se, s)))
    other_way = sum((a | b).astype(int) for a, b in ((ne, n), (nw, w), (sw, s), (se, e)))
    count = np.minimum(one_way, other_way)
    north, northeast, east, southeast = (ring[(i + turn) % 8] for i in range(1, 5))
    inner = (northeast | north | ~southeast) & east
    return np.logical_not((touched == 1) & (count >= 2) & (count <= 3) & ~inner).tobytes()


def thinned(
    state: Image,
    image: Image,  # noqa: ARG001 - an update is given it; thinning looks at its state alone
    *,
    history: Sequence[bool],
    tables: tuple[bytes, bytes],
    most: int | None,
) -> Image:
    """Thin a mask by one round of iterations, fewer if that makes `most` in all rounds."""
    left = ITERATIONS if most is None else most - ITERATIONS * len(history)
    return layers.thinned(state, tables, min(ITERATIONS, left))


def thin_enough(history: Sequence[bool], most: int | None) -> bool:
    """Stop when a round has changed nothing, or when there were `most` iterations."""
    return not history[-1] or (most is not None and ITERATIONS * len(history) >= most)


def thinning(tables: tuple[bytes, bytes], most: int | None = None) -> Rounds:
    """Make the rounds of a thinning."""
    return Rounds(
        update=partial(thinned, tables=tables, most=most),
        halo=2 * ITERATIONS,
        stop=partial(thin_enough, most=most),
    )


def as_mask(image: Image) -> Image:
    """Set what is not 0."""
    return image.astype(bool)


def lee(image: Image) -> Image:
    """Thin a mask with the method of Lee (1994)."""
    result: Image = morphology.skeletonize(image, method="lee")
    return result


@operation(
    "Skeleton",
    "Morphology",
    Composed("iterative"),
    channels="gray",
    takes="mask",
    cost=2.0,
    arrays=3,
)
def skeletonize(method: Literal["zhang", "lee"] = "zhang") -> tuple[Part, ...]:
    """Thin a mask to lines of one pixel in the middle of its regions.

    Parameters
    ----------
    method : str
        Zhang's method takes off one layer after another. Lee's looks at each pixel in turn after
        its neighbours were taken off, any distance along a layer, so that one rank must do the
        whole image.

    References
    ----------
    skimage.morphology.skeletonize
    """
    if method == "lee":
        return (Part(lee, whole=True),)
    return (Part(as_mask, rounds=thinning(zhang_suen())),)


@operation(
    "Thinning",
    "Morphology",
    Iterative(lambda max_num_iter: thinning(guo_hall(), max_num_iter)),
    channels="gray",
    takes="mask",
    cost=2.0,
    arrays=3,
)
def thin(
    image: Image,
    max_num_iter: Annotated[int | None, Number(1, 10_000, slider=(1, 100), step=1)] = None,
) -> Image:
    """Thin a mask to lines of one pixel, or only by some layers.

    Parameters
    ----------
    max_num_iter : int, optional
        How many layers are taken off; without it, as many as there are.

    References
    ----------
    skimage.morphology.thin
    """
    del max_num_iter  # it ends the rounds
    return as_mask(image)


def medial_axis_of_mask(image: Image, rng: int) -> Image:
    """Thin a mask to its medial axis."""
    if image.all():
        # scikit-image measures to a place outside the image, for want of background.
        result: Image = morphology.medial_axis(image, rng=rng)
        return result
    ties = np.random.default_rng(rng).permutation(np.arange(np.count_nonzero(image)))
    return axes.medial_axis(image, ties)


@operation(
    "Medial axis",
    "Morphology",
    Whole("Pixels are taken off in an order that is drawn at random over the whole image."),
    channels="gray",
    takes="mask",
    cost=15.0,
    arrays=20,
    kernels=(
        Kernel(
            medial_axis_of_mask, takes=("bool",), gray=True, exact=True, arrays=12, cost=COST_AXIS
        ),
    ),
)
def medial_axis(
    image: Image, rng: Annotated[int, Number(0, 2**31 - 1, slider=(0, 100), step=1)] = 0
) -> Image:
    """Thin a mask to the pixels that are as far as any from its edges.

    Parameters
    ----------
    rng : int
        Seed of the random order among pixels equally far from an edge; the same seed gives the
        same result.

    References
    ----------
    skimage.morphology.medial_axis
    """
    result: Image = morphology.medial_axis(image, rng=rng)
    return result


Points = NDArray[np.int64]


def outline(image: Image, *, place: Place) -> Points:
    """Find the corners of the convex hull of what is set, as (row, column) in the whole image."""
    mask = image.astype(bool)
    rows, columns = mask.shape
    # The first and the last pixel of each row hold every corner; so do those of each column.
    across = mask if rows <= columns else mask.T
    lines = np.flatnonzero(across.any(axis=1))
    first = across[lines].argmax(axis=1)
    last = across.shape[1] - 1 - across[lines, ::-1].argmax(axis=1)
    ends = np.concatenate([np.stack([lines, first], 1), np.stack([lines, last], 1)])
    ends = ends if rows <= columns else ends[:, ::-1]
    return corners(ends + np.array([place.window.top, place.window.left]))


def corners(points: NDArray[Any]) -> Points:
    """Find the corners of the convex hull of points with whole coordinates, in a fixed order.

    Exact, so that the hull of the parts' corners is the hull of all. Andrew's monotone chain.
    """
    ordered = sorted({(int(row), int(column)) for row, column in points})
    if len(ordered) > 1:
        ordered = chain(ordered)[:-1] + chain(ordered[::-1])[:-1]
    return np.array(ordered, np.int64).reshape(-1, 2)


def chain(points: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Keep the points of an ordered sequence at which a line round them turns left."""
    line: list[tuple[int, int]] = []
    for point in points:
        while len(line) > 1 and bend(line[-2], line[-1], point) <= 0:
            line.pop()
        line.append(point)
    return line


def bend(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> int:
    """Twice the area of a triangle, positive if it turns left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def join_outlines(a: Points, b: Points) -> Points:
    """Corners of the hull round two hulls."""
    return corners(np.concatenate([a, b]))


@operation(
    "Convex hull",
    "Morphology",
    Statistical((Measure(outline, join_outlines),)),
    channels="gray",
    takes="mask",
    arrays=2,
)
def convex_hull_image(
    image: Image,
    offset_coordinates: bool = True,
    include_borders: bool = True,
    *,
    place: Place,
    statistics: tuple[Points],
) -> Image:
    """Fill the smallest convex shape around everything that a mask shows.

    Parameters
    ----------
    offset_coordinates : bool
        Whether a pixel is taken as a small square, and not as the point in its middle. Points in
        one line have no hull.
    include_borders : bool
        Whether pixels on the very edge of the shape belong to it.

    Notes
    -----
    The edges' slopes are fractions of whole numbers: the test of a pixel is exact. Every pixel
    that is not 0 counts; scikit-image says so too, but cuts floats off to whole numbers of 8 bits,
    in which one half is 0.

    References
    ----------
    skimage.morphology.convex_hull_image
    """
    (found,) = statistics
    # In half pixels, so that the middles of a pixel's sides are whole numbers.
    vertices = 2 * found
    if offset_coordinates and len(found):
        sides = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])
        vertices = corners((vertices[:, np.newaxis] + sides).reshape(-1, 2))
    if len(vertices) < 3:
        return np.zeros(image.shape, bool)
    rows = np.arange(place.window.top, place.window.bottom)
    first, last = between(vertices, rows, include_borders)
    columns = np.arange(place.window.left, place.window.right)
    return (columns >= first[:, np.newaxis]) & (columns <= last[:, np.newaxis])


def between(vertices: Points, rows: NDArray[np.int64], closed: bool) -> tuple[Points, Points]:
    """Find the first and the last column of a convex polygon in each row.

    Parameters
    ----------
    vertices : ndarray
        In half pixels, in the order of `corners`.
    rows : ndarray
        In pixels.
    closed : bool
        Whether the polygon's edges belong to it.

    Returns
    -------
    first, last : ndarray of int64
        Columns in pixels; `last` is less than `first` where the polygon has none.
    """
    first = np.full(rows.shape, np.iinfo(np.int64).min)
    last = np.full(rows.shape, np.iinfo(np.int64).max)
    for (row, column), (next_row, next_column) in zip(
        vertices, np.roll(vertices, -1, 0), strict=True
    ):
        down, right = next_row - row, next_column - column
        from_row = 2 * rows - row
        # The edge crosses a row at column `over` / `under`.
        over, under = column * down + right * from_row, 2 * down
        if down > 0:
            first = np.maximum(first, -(-over // under) if closed else over // under + 1)
        elif down < 0:
            last = np.minimum(last, over // under if closed else -(-over // under) - 1)
        else:
            beyond = right * from_row > 0 if closed else right * from_row >= 0
            last = np.where(beyond, np.iinfo(np.int64).min, last)
    return first, last


MAX_TREE = Whole("Whether a region stays depends on its size, which may be that of the image.")
Connectivity = Annotated[int, Number(1, 2, step=1)]
Area = Annotated[int, Number(1, 1_000_000, unit="px", slider=(1, 1000), step=1)]
Diameter = Annotated[int, Number(1, 10_000, unit="px", slider=(1, 100), step=1)]


def simplified(
    function: Callable[..., Image], image: Image, threshold: int, connectivity: int
) -> Image:
    """Run one of scikit-image's filters on a tree of regions, on every colour.

    Raises
    ------
    ValueError
        If the image is too thin for scikit-image to find neighbours in.
    """
    if image.shape[0] < 3 or image.shape[1] < 2:
        raise ValueError(
            "needs an image of at least 3 rows and 2 columns, "
            f"got {image.shape[0]} × {image.shape[1]}"
        )
    return each_channel(lambda plane: function(plane, threshold, connectivity), image)


def by_area(
    image: Image, area_threshold: int, connectivity: int, function: Callable[..., Image]
) -> Image:
    """Run a filter by the pixels of regions on every colour."""
    leave = partial(function, by_extent=False)
    return simplified(leave, image, area_threshold, connectivity)


def by_diameter(
    image: Image, diameter_threshold: int, connectivity: int, function: Callable[..., Image]
) -> Image:
    """Run a filter by the rows and columns of regions on every colour."""
    leave = partial(function, by_extent=True)
    return simplified(leave, image, diameter_threshold, connectivity)


def by_tree(
    measured: Callable[..., Image], function: Callable[..., Image], *, arrays: int, cost: float
) -> Kernel:
    """Declare the kernel of a filter on a tree of regions."""
    return Kernel(
        partial(measured, function=function),
        takes=("uint8", "uint16", "float32", "float64"),
        exact=True,
        arrays=arrays,
        cost=cost,
    )


@operation(
    "Opening by area",
    "Morphology",
    MAX_TREE,
    cost=100.0,
    arrays=14,
    kernels=(by_tree(by_area, trees.opened, arrays=6, cost=COST_AREA),),
)
def area_opening(image: Image, area_threshold: Area = 64, connectivity: Connectivity = 1) -> Image:
    """Remove bright regions with fewer pixels than a limit; all others keep their exact shape.

    Parameters
    ----------
    area_threshold : int
        Regions of at least so many pixels stay.
    connectivity : int
        1 if regions touch at the sides of pixels, 2 if at their corners as well.

    References
    ----------
    skimage.morphology.area_opening
    """
    return simplified(morphology.area_opening, image, area_threshold, connectivity)


@operation(
    "Closing by area",
    "Morphology",
    MAX_TREE,
    cost=100.0,
    arrays=14,
    kernels=(by_tree(by_area, trees.closed, arrays=6, cost=COST_AREA),),
)
def area_closing(image: Image, area_threshold: Area = 64, connectivity: Connectivity = 1) -> Image:
    """Fill dark regions with fewer pixels than a limit; all others keep their exact shape.

    Parameters
    ----------
    area_threshold : int
        Regions of at least so many pixels stay.
    connectivity : int
        1 if regions touch at the sides of pixels, 2 if at their corners as well.

    References
    ----------
    skimage.morphology.area_closing
    """
    return simplified(morphology.area_closing, image, area_threshold, connectivity)


@operation(
    "Opening by diameter",
    "Morphology",
    MAX_TREE,
    cost=150.0,
    arrays=28,
    kernels=(by_tree(by_diameter, trees.opened, arrays=10, cost=COST_DIAMETER),),
)
def diameter_opening(
    image: Image, diameter_threshold: Diameter = 8, connectivity: Connectivity = 1
) -> Image:
    """Remove bright regions smaller than a limit, whatever their shape; long thin ones stay.

    Parameters
    ----------
    diameter_threshold : int
        Regions at least so high or so wide stay.
    connectivity : int
        1 if regions touch at the sides of pixels, 2 if at their corners as well.

    References
    ----------
    skimage.morphology.diameter_opening
    """
    return simplified(morphology.diameter_opening, image, diameter_threshold, connectivity)


@operation(
    "Closing by diameter",
    "Morphology",
    MAX_TREE,
    cost=150.0,
    arrays=28,
    kernels=(by_tree(by_diameter, trees.closed, arrays=10, cost=COST_DIAMETER),),
)
def diameter_closing(
    image: Image, diameter_threshold: Diameter = 8, connectivity: Connectivity = 1
) -> Image:
    """Fill dark regions smaller than a limit, whatever their shape; long thin ones stay.

    Parameters
    ----------
    diameter_threshold : int
        Regions at least so high or so wide stay.
    connectivity : int
        1 if regions touch at the sides of pixels, 2 if at their corners as well.

    References
    ----------
    skimage.morphology.diameter_closing
    """
    return simplified(morphology.diameter_closing, image, diameter_threshold, connectivity)
