"""One photograph for all benchmarks, computed in any size."""

from pathlib import Path

import numpy as np
from skimage import data, measure

# Two rows for each three columns, as in photographs of cameras.
SHAPES = {
    "24 MP": (4000, 6000),
    "100 MP": (8192, 12288),
    "4 MP": (1632, 2448),
    "1 MP": (816, 1224),
    "small": (512, 512),
    "tiny": (96, 144),
}
NOISE = 6
# Level above which a pixel of a gray photograph belongs to a mask.
BRIGHT = 110


def photograph(rows, columns, colours=True):
    """Lay mirrored copies of a photograph side by side, with a little noise.

    The noise makes all tiles differ; the mirroring leaves no edge where copies meet.
    """
    picture = data.astronaut() if colours else data.camera()
    size = picture.shape[0]
    tall = np.concatenate([picture, picture[::-1]])
    square = np.concatenate([tall, tall[:, ::-1]], axis=1)
    across = (-(-rows // (2 * size)), -(-columns // (2 * size)), 1)[: picture.ndim]
    image = np.tile(square, across)[:rows, :columns].astype(np.int16)
    noise = np.random.default_rng(1).integers(-NOISE, NOISE + 1, image.shape, np.int8)
    return np.clip(image + noise, 0, 255, out=image).astype(np.uint8)


def pictured(kind, rows, columns):
    """Make a picture of a kind: "gray", "colours", "12 bits", "floats", "mask" or "labels".

    Floats are those of the gray photograph. Masks and labels are of its bright parts.
    """
    image = photograph(rows, columns, kind == "colours")
    if kind == "12 bits":
        fine = np.random.default_rng(2).integers(0, 16, image.shape, np.uint16)
        return image.astype(np.uint16) * 16 + fine
    if kind == "floats":
        return (image / 255).astype(np.float32)
    if kind == "mask":
        return image > BRIGHT
    if kind == "labels":
        return measure.label(image > BRIGHT).astype(np.uint32)
    return image


def suited(operation, rows, columns):
    """Make an image that an operation takes, in colour only if it treats the colours together."""
    colours = operation.takes == "picture" and operation.channels in ("rgb", "any")
    image = photograph(rows, columns, colours)
    if operation.takes in ("mask", "classes"):
        return image > BRIGHT
    if operation.takes == "labels":
        return measure.label(image > BRIGHT).astype(np.uint32)
    return image


def put(image, folder, name):
    """Write an image where other processes can map it; return its path, shape and dtype."""
    path = Path(folder) / name
    path.write_bytes(np.ascontiguousarray(image).tobytes())
    return {"path": str(path), "shape": list(image.shape), "dtype": str(image.dtype)}
