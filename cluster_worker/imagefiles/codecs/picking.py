"""Some channels of a file: all of them are decoded, and those that are read are copied."""

from dataclasses import replace

import numpy as np

from cluster_worker.imagefiles.codecs.header import Header, Image


def unpicked(header: Header, out: Image) -> tuple[Header, Image]:
    """Return the header of all channels, and an array for them; `out` itself if all are read."""
    if header.picked is None:
        return header, out
    _, stored, alpha = header.picked
    channels = () if stored == 1 else (stored,)
    image = header.image._replace(shape=(*header.shape[:2], *channels), alpha=alpha, channels=())
    return replace(header, image=image, picked=None), np.empty(
        (*out.shape[:2], *channels), out.dtype
    )


def copy_picked(header: Header, whole: Image, out: Image) -> None:
    """Copy the channels that are read, unless `out` has all of them."""
    if header.picked is not None:
        numbers = header.picked.numbers
        out[...] = whole[..., numbers[0] if out.ndim == 2 else list(numbers)]
