"""What a job from file to file reads, and whether it is streamed: from headers and plan."""

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cluster_worker.engine.file_results import FileResult
from cluster_worker.errors import Broken, Rejected
from cluster_worker.imagefiles.codecs.header import Header, palette_has_alpha
from cluster_worker.imagefiles.codecs.items import TITLES
from cluster_worker.imagefiles.formats import FORMATS
from cluster_worker.plan.kinds import reads_labels
from cluster_worker.plan.passes import Plan
from cluster_worker.plan.recipe import RecipePlan

# An image is streamed if its pixels (source, result, and between passes) take more bytes than this.
MEMORY_BYTES_MAX = 256 << 20
# What a streamed image leaves lies in a store, if its pixels take more bytes than this. A few such
# images fit the disk of a small node (30 GB) at the same time, and a disk costs no requests.
STORE_BYTES_MIN = 1 << 30
# Share of MEMORY_BYTES_MAX up to which a result of a streamed image is kept in memory. A small
# result must not be cut into the tiles of a file: one tile of 256 × 256 pixels of a thumbnail would
# be made from a sixteenth of a gigapixel.
RESULT_SHARE = 0.25


def should_stream(
    header: Header, planned: Plan | RecipePlan, formats: Sequence[str], *, on_disk: bool
) -> bool:
    """Return whether to read a file by windows, and to write large results by tiles.

    `formats` are those of the results. With `on_disk`, a file that is not read by windows may be
    decoded to a file of bare pixels on disk.
    """
    if header.block is None and not (on_disk and fits_on_disk(header)):
        return False
    for each, name in zip(planned.results, formats, strict=True):
        if FORMATS[name].encode_tiles is None and not is_small(each):
            return False
    return total_bytes(planned) > MEMORY_BYTES_MAX and not any(
        each.whole for each in planned.passes
    )


def fits_on_disk(header: Header) -> bool:
    """Return whether a file can be decoded to disk with little memory: row by row, as it lies."""
    rows = FORMATS[header.format].decodes_rows and header.orientation == 1
    return rows and header.picked is None and not header.palette


def is_small(planned: Plan) -> bool:
    """Return whether a result of a streamed image stays in memory until it is written."""
    return result_bytes(planned) <= MEMORY_BYTES_MAX * RESULT_SHARE


def is_worth_store(header: Header, planned: Plan | RecipePlan) -> bool:
    """Return whether what a streamed image leaves lies in a store, if there is one."""
    return header.block is not None and total_bytes(planned) > STORE_BYTES_MIN


def is_joined(result: FileResult) -> bool:
    """Return whether a result can be joined in a store from the tiles that ranks leave there.

    The smaller copies of a pyramid are made from all tiles on this host.
    """
    return result.format == "tiff" and result.header.output.layout in ("", "tiles")


def total_bytes(planned: Plan | RecipePlan) -> int:
    """Return the bytes of all pixels of a plan: sources, results and what lies between passes."""
    total = image_bytes(planned.shape, planned.dtype) + sum(planned.slots())
    total += sum(image_bytes(each.shape, each.dtype) for _, each in planned.inputs)
    return total + sum(map(result_bytes, planned.results))


def image_bytes(shape: tuple[int, ...], dtype: str) -> int:
    """Return the size of an image in bytes."""
    return math.prod(shape) * np.dtype(dtype).itemsize


def result_bytes(planned: Plan) -> int:
    """Return the size of a plan's result in bytes."""
    return image_bytes(planned.result_shape, planned.result_dtype)


def as_read(header: Header, steps: str, format: str) -> tuple[Header, tuple[str, ...]]:
    """Choose what of a file is read, if the steps decide that; return the header and a note.

    The indices of a palette are read for steps that take labels or a mask, and for steps that only
    move pixels if the result can have a palette. Whole numbers of 32 bits are labels only for such
    steps.
    """
    if header.is_told:
        return header, ()
    if not header.palette and (header.dtype, header.image.kind) != ("uint32", "labels"):
        return header, ()
    wants_labels = reads_labels(steps)
    image = header.image
    if not header.palette:
        if wants_labels is not False:
            return header, ()
        note = "whole numbers of 32 bits were taken as intensities, not as labels"
        return replace(header, image=image._replace(kind="intensity")), (note,)
    target = header.format if format == "same" else format
    # A fill is a level, and no index; a palette of TIFF has no transparency.
    unfit = fills(steps) or (target == "tiff" and palette_has_alpha(header.palette))
    holds = "palette" in FORMATS[target].carries
    if wants_labels or (wants_labels is None and holds and not unfit):
        indices = image._replace(
            shape=image.shape[:2], axes="yx", kind="labels", alpha=False, channels=()
        )
        return replace(header, image=indices), ()
    if wants_labels is None and not holds:
        return replace(header, image=image._replace(nodata=None)), ()
    why = "its colours were used" if wants_labels is None else "the steps computed with its colours"
    notes: tuple[str, ...] = (f"palette dissolved: {why}",)
    if image.nodata is not None:
        # The value is an index, and no level of a colour.
        notes += (f"{TITLES['nodata']} ({image.nodata:g}) dropped: it is an index of the palette",)
        header = replace(header, image=image._replace(nodata=None))
    return header, notes


def fills(steps: str) -> bool:
    """Return whether a step fills what lies beyond the border with a constant level."""
    return any(each.get("mode") == "constant" for each in json.loads(steps))


def check_room(results: Sequence[Plan], scratch: int, scratch_dir: Path, name: str) -> None:
    """Check that the disk has room for `scratch` bytes of a job's scratch files, and for results.

    Raises
    ------
    Rejected
        With the numbers, if it is too small.
    Broken
        With the numbers, if other files leave too little of it.
    """
    # For a moment the disk holds the result twice: as tiles, and as a file.
    need = scratch + 2 * sum(map(result_bytes, results))
    usage = shutil.disk_usage(scratch_dir)
    if need > usage.free:
        family = Rejected if need > usage.total else Broken
        raise family(
            f"{name}: needs up to {need / 2**30:.1f} GiB of disk in {scratch_dir} for this chain; "
            f"{usage.free / 2**30:.1f} of {usage.total / 2**30:.1f} GiB are free"
        )
