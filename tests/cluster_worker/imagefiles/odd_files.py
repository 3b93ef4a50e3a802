"""Odd files by cause: sound ones with a fault that readers pass over, cut ones, damaged ones.

Each is made from a file that is sound, so that what it should become is known.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tifffile
from PIL import Image
from skimage import data

from tests.cluster_worker.imagefiles.pngs import chunk

PHOTO = data.astronaut()[:90, :110]
GRAY = PHOTO[..., 0]

# What a file should become: its own pixels, its own pixels and a note, or a sentence of a class.
READ, NOTED, OTHER = "read", "read with a note", "other pixels"
SHORT, DAMAGED, EMPTY = "too short", "damaged", "no pixels"
UNSUPPORTED, STRANGE = "not supported", "no image"


class Odd(NamedTuple):
    """A file: the cause why it is odd, the sound file it was made from, and what it should become.

    `sound` is empty where there is none.
    """

    cause: str
    name: str
    content: bytes
    expected: tuple[str, ...]
    sound: bytes = b""


def by_pillow(form: str, image: np.ndarray = PHOTO, **options: object) -> bytes:
    """Return a file that Pillow writes."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, form, **options)
    return buffer.getvalue()


def by_tifffile(image: np.ndarray = PHOTO, **options: object) -> bytes:
    """Return a file that tifffile writes."""
    buffer = io.BytesIO()
    photometric = "rgb" if image.shape[2:] == (3,) else "minisblack"
    given = {"photometric": photometric, "metadata": None} | options
    tifffile.imwrite(buffer, image, **given)
    return buffer.getvalue()


def sound_files() -> dict[str, bytes]:
    """Return sound files of the usual formats, all larger than their headers."""
    gif = by_pillow("GIF", GRAY)
    return {
        "jpeg": by_pillow("JPEG", quality=90),
        "progressive.jpeg": by_pillow("JPEG", quality=90, progressive=True),
        "png": by_pillow("PNG"),
        "gray.png": by_pillow("PNG", GRAY),
        "lossy.webp": by_pillow("WEBP", quality=80),
        "lossless.webp": by_pillow("WEBP", lossless=True),
        "gif": gif,
        "bmp": by_pillow("BMP"),
        "ppm": by_pillow("PPM"),
        "jp2": by_pillow("JPEG2000"),
        "avif": by_pillow("AVIF"),
        "tga": by_pillow("TGA"),
        "raw.tif": by_tifffile(),
        "deflate.tif": by_tifffile(compression="zlib", rowsperstrip=8),
        "lzw.tif": by_tifffile(compression="lzw", rowsperstrip=8),
        "tiles.tif": by_tifffile(compression="zlib", tile=(32, 32)),
        "jpeg.tif": by_tifffile(compression="jpeg", rowsperstrip=16),
        "fax.tif": by_pillow("TIFF", GRAY > 99, compression="group4"),
    }


def tagged(content: bytes, code: int, value: int) -> bytes:
    """Return a TIFF of one page with another first value of a tag."""
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        tag = file.pages.first.tags[code]
        kind = {3: "<H", 4: "<I"}[int(tag.dtype)]
        start = tag.valueoffset
    size = struct.calcsize(kind)
    return content[:start] + struct.pack(kind, value) + content[start + size :]


def passed_over() -> Iterator[Odd]:
    """Yield files with faults that do not touch their pixels."""
    sound = sound_files()
    for name, content in sound.items():
        yield Odd("bytes behind the end", name, content + b"\0" * 99, (READ, NOTED), content)
    for name in ("jpeg", "progressive.jpeg"):
        yield Odd("no end mark", name, sound[name][:-2], (NOTED,), sound[name])
    for name in ("png", "gray.png"):
        yield Odd("no end mark", name, sound[name][:-12], (NOTED,), sound[name])
    yield Odd("no end mark", "gif", sound["gif"][:-1], (READ, NOTED), sound["gif"])
    end = sound["png"].index(b"IDAT") - 4
    for kind, content in ((b"gAMA", b"\0\0\xb1\x8f"), (b"tEXt", b"Title\0cat"), (b"zzZz", b"\1")):
        wrong = chunk(kind, content)[:-4] + b"\1\2\3\4"
        odd = sound["png"][:end] + wrong + sound["png"][end:]
        yield Odd("checksum beside the pixels", f"{kind.decode()}.png", odd, (NOTED,), sound["png"])
    whole = by_tifffile(GRAY, compression="zlib", rowsperstrip=200)
    with tifffile.TiffFile(io.BytesIO(whole)) as file:
        size = file.pages.first.databytecounts[0]
    odd = tagged(whole + b"\0" * 40, 279, size + 30)
    yield Odd("strip with bytes to spare", "deflate.tif", odd, (READ, NOTED), whole)
    raw = by_tifffile(GRAY, rowsperstrip=200)
    yield Odd("strip longer than the file", "raw.tif", tagged(raw, 279, 99_999), (READ, NOTED), raw)
    for name, size in (("webp", 8), ("longer.webp", 1 << 20)):
        content = sound["lossless.webp"]
        odd = content[:4] + struct.pack("<I", len(content) + size) + content[8:]
        yield Odd("size in the head is wrong", name, odd, (READ, NOTED, SHORT), content)
    odd = sound["bmp"][:2] + struct.pack("<I", 7) + sound["bmp"][6:]
    yield Odd("size in the head is wrong", "bmp", odd, (READ, NOTED), sound["bmp"])
    odd = sound["jpeg"][:2] + b"\xff\xff\xff" + sound["jpeg"][2:]
    yield Odd("bytes between segments", "jpeg", odd, (READ, NOTED), sound["jpeg"])


def cut() -> Iterator[Odd]:
    """Yield files that end within their pixels, or before."""
    for name, content in sound_files().items():
        for share in (0.02, 0.25, 0.5, 0.75, 0.97):
            end = max(1, int(share * len(content)))
            yield Odd("cut", f"{share} {name}", content[:end], (SHORT, DAMAGED, STRANGE), content)


def damaged() -> Iterator[Odd]:
    """Yield files whose pixels are garbage from the middle on."""
    random = np.random.default_rng(5)
    for name, content in sound_files().items():
        start = len(content) // 2
        noise = random.integers(0, 256, len(content) // 4, "uint8").tobytes()
        odd = content[:start] + noise + content[start + len(noise) :]
        # Some formats have no checksum: then other pixels are all that can come of it.
        yield Odd("garbage within the pixels", name, odd, (OTHER, DAMAGED, SHORT, EMPTY), content)
    png = by_pillow("PNG")
    start = png.index(b"IDAT")
    yield Odd("checksum of the pixels", "png", png[:-16] + b"\0\0\0\0" + png[-12:], (DAMAGED,))
    broken = zlib.compress(b"\0" * 99)[:-4] + b"\1\2\3\4"
    odd = png[: start - 4] + chunk(b"IDAT", broken) + chunk(b"IEND", b"")
    yield Odd("too few pixels in a whole file", "png", odd, (SHORT, DAMAGED))


def unsupported() -> Iterator[Odd]:
    """Yield sound files of kinds that are not read."""
    yield Odd("complex numbers", "tif", by_tifffile(GRAY.astype("complex64")), (UNSUPPORTED,))
    odd = by_tifffile(GRAY.astype("int32"), photometric="miniswhite")
    yield Odd("signed from white", "tif", odd, (UNSUPPORTED,))
    raw = by_tifffile(GRAY)
    yield Odd("unknown compression", "tif", tagged(raw, 259, 48124), (UNSUPPORTED,))
    yield Odd("unknown compression", "other.tif", tagged(raw, 259, 61_234), (UNSUPPORTED,))
    yield Odd("unknown colours", "tif", tagged(raw, 262, 32_844), (UNSUPPORTED,))
    jpeg = by_pillow("JPEG")
    for marker, what in ((0xC5, "hierarchical"), (0xCB, "arithmetic without loss")):
        odd = jpeg.replace(b"\xff\xc0", bytes((0xFF, marker)), 1)
        yield Odd(what, "jpeg", odd, (UNSUPPORTED,))
    frames = [Image.fromarray(np.roll(PHOTO, 9 * each, axis=1)) for each in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "AVIF", save_all=True, append_images=frames[1:])
    yield Odd("animation", "avif", buffer.getvalue(), (UNSUPPORTED,))


def strangers() -> Iterator[Odd]:
    """Yield files that are no images."""
    for name, content in {
        "empty": b"",
        "text": b"a cat\n",
        "pdf": b"%PDF-1.7\n%",
        "zip": b"PK\3\4" + bytes(60),
        "html": b"<!DOCTYPE html><html>",
        "svg": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
        "video": b"\0\0\0\x18ftypmp42" + bytes(40),
        "json": b'{"a": 1}',
        "gzip": b"\x1f\x8b\x08" + bytes(40),
        "zeros": bytes(1000),
        "noise": np.random.default_rng(1).integers(128, 256, 999, "uint8").tobytes(),
    }.items():
        yield Odd("no image", name, content, (STRANGE, DAMAGED, SHORT))


def odd_files() -> list[Odd]:
    """Return all odd files."""
    makers = (passed_over, cut, damaged, unsupported, strangers)
    return [each for make in makers for each in make()]
