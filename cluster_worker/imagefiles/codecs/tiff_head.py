"""The head of a TIFF whose tiles lie elsewhere, until both are joined to a file."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.imagefiles.codecs.tiff_ranges import (
    NUMBERS,
    TILE_COUNTS,
    TILE_OFFSETS,
    Tag,
    first_offset,
    read_directory,
    sound_layout,
)


def complete_head(
    path: Path, offsets: NDArray[Any], counts: NDArray[Any], nbytes_min: int = 0
) -> int:
    """Write where the tiles will lie into a TIFF that was assembled from tiles of no bytes.

    Parameters
    ----------
    path : Path
        The file; it becomes as long as the head.
    offsets, counts : ndarray of int
        Of the tiles, in row order, in the bytes that will follow the head.
    nbytes_min : int
        Least number of bytes of the head.

    Returns
    -------
    int
        Bytes of the head.

    Raises
    ------
    ValueError
        If the file has another number of tiles, or its numbers are too small for them.
    """
    with path.open("r+b") as file:

        def read(offset: int, count: int) -> bytes:
            file.seek(offset)
            return file.read(count)

        def write(tag: Tag, values: NDArray[Any]) -> None:
            kind = np.dtype(layout.order + NUMBERS[tag.type])
            if tag.count != len(values) or values.max() > np.iinfo(kind).max:
                raise ValueError(f"{len(values)} tiles up to {values.max()} do not fit in {tag}")
            file.seek(tag.offset)
            file.write(values.astype(kind).tobytes())

        layout = sound_layout(read)
        tags = read_directory(read, first_offset(read, layout), layout).tags
        # The tiles of some compressions are found by words of 16 bytes.
        size = -(-max(path.stat().st_size, nbytes_min) // 16) * 16
        write(tags[TILE_OFFSETS], offsets + size)
        write(tags[TILE_COUNTS], counts)
        file.truncate(size)
    return size
