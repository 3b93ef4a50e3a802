"""Files of every format, strained: cut, of other bytes, counts and sizes, and of odd pages.

A random number generator with a seed chooses places and bytes, so that a run can be repeated.
"""

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import imagecodecs
import numpy as np
import tifffile
from PIL import Image
from pydicom.uid import RLELossless
from skimage import data

from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.pixels.header import ImageHeader
from tests.cluster_worker.imagefiles.test_dicom import JPEG_LS, LOSSLESS, dicom
from tests.cluster_worker.imagefiles.test_floats import exr, hdr
from tests.cluster_worker.imagefiles.test_more_formats import HEIC_8, fits_of, nifti, photoshop

# Sides whose bytes are found in a header and hardly anywhere else.
ROWS, COLUMNS = 269, 311
PHOTO = np.ascontiguousarray(data.astronaut()[:ROWS, 100 : 100 + COLUMNS])
GRAY = np.ascontiguousarray(PHOTO[..., 1])
DEEP = GRAY.astype("uint16") * 16

CUTS, FLIPS, COUNTS = 16, 32, 24
# Where headers are.
HEAD = 600
# Sound TIFFs whose tags are changed.
MISTAGGED = tuple(
    f"tiff {each}" for each in ("strips", "zlib", "tiles", "bigtiff", "group4", "ome")
)
WRONG = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\1\0\0\0")


class Strained(NamedTuple):
    """A file, the sound file that it was made from ("" for none), and what was done to it."""

    cause: str
    sound: str
    what: str
    content: bytes


def by_pillow(form: str, image: np.ndarray = PHOTO, mode: str = "", **options: object) -> bytes:
    """Return a file that Pillow writes."""
    picture = Image.fromarray(image)
    buffer = io.BytesIO()
    (picture.convert(mode) if mode else picture).save(buffer, form, **options)
    return buffer.getvalue()


def moving(form: str, **options: object) -> bytes:
    """Return an animation of three pictures."""
    first, *others = [Image.fromarray(np.roll(GRAY, 40 * each, 1)) for each in range(3)]
    buffer = io.BytesIO()
    first.save(buffer, form, save_all=True, append_images=others, duration=90, **options)
    return buffer.getvalue()


def by_tifffile(image: np.ndarray = PHOTO, **options: object) -> bytes:
    """Return a TIFF that tifffile writes."""
    given = {"photometric": "rgb" if image.shape[-1] == 3 else "minisblack", "metadata": None}
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, **(given | options))
    return buffer.getvalue()


def by_path(folder: Path, name: str, write: object, *given: object, **options: object) -> bytes:
    """Return a file of a function that writes to a path."""
    path = folder / name
    write(path, *given, **options)
    return path.read_bytes()


def pictures() -> dict[str, bytes]:
    """Return sound files of formats for pictures."""
    return {
        "jpeg": by_pillow("JPEG"),
        "jpeg gray": by_pillow("JPEG", GRAY),
        "jpeg progressive": by_pillow("JPEG", progressive=True),
        "jpeg restarts": by_pillow("JPEG", restart_marker_rows=1),
        "jpeg progressive restarts": by_pillow("JPEG", progressive=True, restart_marker_blocks=7),
        "jpeg cmyk": by_pillow("JPEG", mode="CMYK"),
        "jpeg 12": imagecodecs.jpeg8_encode(DEEP, bitspersample=12),
        "jpeg lossless": imagecodecs.jpeg8_encode(GRAY, lossless=True),
        "png": by_pillow("PNG"),
        "png alpha": by_pillow("PNG", mode="RGBA"),
        "png palette": by_pillow("PNG", mode="P"),
        "png mask": by_pillow("PNG", mode="1"),
        "png 16": imagecodecs.png_encode(DEEP),
        "png frames": moving("PNG"),
        "webp": by_pillow("WEBP"),
        "webp lossless": by_pillow("WEBP", lossless=True),
        "webp frames": moving("WEBP"),
        "gif": by_pillow("GIF"),
        "gif frames": moving("GIF"),
        "bmp": by_pillow("BMP"),
        "bmp palette": by_pillow("BMP", mode="P"),
        "pnm": by_pillow("PPM"),
        "pnm gray": by_pillow("PPM", GRAY),
        "pnm mask": by_pillow("PPM", mode="1"),
        "pnm text": b"P2 311 269 255\n" + b" ".join(b"%d" % each for each in GRAY.ravel()),
        "jp2": by_pillow("JPEG2000"),
        "j2k": imagecodecs.jpeg2k_encode(DEEP, codecformat="j2k", level=0),
        "avif": imagecodecs.avif_encode(PHOTO, level=60, speed=10),
        "jxl": imagecodecs.jpegxl_encode(PHOTO, lossless=True),
        "jls": imagecodecs.jpegls_encode(GRAY),
        "heic": HEIC_8,
        "tga": by_pillow("TGA"),
        "tga packed": by_pillow("TGA", compression="tga_rle"),
        "sgi": by_pillow("SGI"),
        "dds": by_pillow("DDS"),
        "ico": by_pillow("ICO", PHOTO[:128, :128]),
        "psd": photoshop(PHOTO),
    }


def tiffs() -> dict[str, bytes]:
    """Return sound TIFFs of all compressions and layouts."""
    tile = {"tile": (64, 64)}
    found = {
        f"tiff {each}": by_tifffile(compression=each, rowsperstrip=40)
        for each in ("zlib", "lzw", "zstd", "packbits", "lzma", "jpeg", "jpeg2000", "webp", "png")
    }
    found |= {
        "tiff plain": by_tifffile(),
        "tiff strips": by_tifffile(rowsperstrip=16),
        "tiff big endian": by_tifffile(DEEP, byteorder=">", rowsperstrip=16),
        "tiff bigtiff": by_tifffile(bigtiff=True, compression="zlib", **tile),
        "tiff tiles": by_tifffile(DEEP, compression="zlib", predictor=True, **tile),
        "tiff planar": by_tifffile(np.moveaxis(PHOTO, 2, 0).copy(), photometric="rgb", **tile),
        "tiff floats": by_tifffile(GRAY / np.float32(7), compression="zlib", predictor=True),
        "tiff lerc": by_tifffile(GRAY.astype("float32"), compression="lerc", **tile),
        "tiff jpegxl": by_tifffile(compression="jpegxl", **tile),
        "tiff pages": by_tifffile(np.stack([GRAY, 255 - GRAY, GRAY]), compression="zlib"),
        "tiff imagej": by_tifffile(np.stack([DEEP] * 3), imagej=True, metadata={"axes": "ZYX"}),
        "tiff ome": by_tifffile(np.stack([DEEP] * 3), ome=True, metadata={"axes": "CYX"}),
    }
    fax = Image.fromarray(GRAY > 120)
    for each in ("group3", "group4", "tiff_ccitt"):
        buffer = io.BytesIO()
        fax.save(buffer, "TIFF", compression=each)
        found[f"tiff {each}"] = buffer.getvalue()
    return found


def of_science(folder: Path) -> dict[str, bytes]:
    """Return sound files of instruments."""
    coded = [LOSSLESS[JPEG_LS](GRAY)]
    volume = np.stack([DEEP] * 3).astype("int16")
    described = Header("a", "tiff", ImageHeader(GRAY.shape, "uint8"))
    return {
        "dicom": by_path(folder, "a.dcm", dicom, DEEP, BitsStored=12),
        "dicom frames": by_path(folder, "b.dcm", dicom, np.stack([DEEP] * 3), BitsStored=12),
        "dicom jpeg-ls": by_path(folder, "c.dcm", dicom, GRAY, JPEG_LS, coded),
        "dicom runs": by_path(folder, "d.dcm", runs),
        "nifti": nifti(volume, 4),
        "nifti packed": gzip.compress(nifti(volume, 4)),
        "fits": fits_of(volume),
        "exr": by_path(folder, "a.exr", exr, {"RGB": PHOTO.astype("float32")}),
        "hdr": by_path(folder, "a.hdr", hdr, PHOTO.astype("float32")),
        "zarr": by_path(folder, "a.zarr.zip", formats.write, GRAY, "zarr", described),
    }


def runs(path: Path) -> None:
    """Write a DICOM file in run lengths."""
    length = struct.pack("<16I", 1, 64, *[0] * 14)
    packed = b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in GRAY)
    dicom(path, GRAY, RLELossless, [length + packed])


def cut(name: str, content: bytes, random: np.random.Generator) -> Iterator[Strained]:
    """Yield a file that ends at random places, in its head, and near its end."""
    ends = random.integers(1, len(content), CUTS)
    near = [len(content) - each for each in (1, 2, 3, 9, 30)]
    for end in sorted({*ends, *random.integers(1, min(HEAD, len(content)), 6), *near}):
        yield Strained("cut", name, f"{end} of {len(content)} bytes", content[:end])


def flipped(name: str, content: bytes, random: np.random.Generator) -> Iterator[Strained]:
    """Yield a file with one other byte, half of the times in its head."""
    for number in range(FLIPS):
        place = int(random.integers(0, min(HEAD, len(content)) if number % 2 else len(content)))
        byte = content[place] ^ int(random.integers(1, 256))
        other = content[:place] + bytes([byte]) + content[place + 1 :]
        yield Strained("one byte", name, f"byte {place} is {byte:#x}", other)


def miscounted(name: str, content: bytes, random: np.random.Generator) -> Iterator[Strained]:
    """Yield a file with four other bytes in its head: counts, lengths, offsets, types."""
    for place in map(int, random.integers(0, min(HEAD, len(content)) - 4, COUNTS)):
        wrong = WRONG[int(random.integers(len(WRONG)))]
        other = content[:place] + wrong + content[place + 4 :]
        yield Strained("wrong count", name, f"{wrong.hex()} at byte {place}", other)


def resized(name: str, content: bytes) -> Iterator[Strained]:
    """Yield a file whose head says that it has no rows or columns, or absurdly many."""
    for side in (ROWS, COLUMNS):
        texts = {str(side).encode(): (b"0", b"-1", b"99999999", b"999999999999999999999")}
        for kind in (">I", "<I", ">H", "<H"):
            most = (1 << 8 * struct.calcsize(kind)) - 1
            values = (0, 1, 20_000, most // 2, most)
            told = struct.pack(kind, side)
            texts[told] = tuple(struct.pack(kind, each) for each in values)
        for told, wrongs in texts.items():
            place = content.find(told, 0, 8 * HEAD)
            for wrong in wrongs if place >= 0 else ():
                cause = "no size" if not wrong.strip(b"\0-01") else "absurd size"
                other = content[:place] + wrong + content[place + len(told) :]
                yield Strained(cause, name, f"{side} at byte {place} is {wrong!r}", other)


def mistagged(name: str, content: bytes) -> Iterator[Strained]:
    """Yield a TIFF whose tags have other types, counts and values."""
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        order, big = file.byteorder, file.is_bigtiff
        tags = [(tag.code, tag.offset) for tag in file.pages.first.tags]
    for code, offset in tags:
        kinds = ((2, "H", (0, 2, 5, 13, 99)), (4, "Q" if big else "I", (0, 1, 3, 1 << 31)))
        for place, kind, values in (*kinds, (12 if big else 8, "I", (0, 1, 7, 0xFFFFFFFF))):
            for value in values:
                changed = bytearray(content)
                struct.pack_into(order + kind, changed, offset + place, value)
                yield Strained("wrong tag", name, f"tag {code}: {value} at {place}", bytes(changed))


def odd_pages() -> Iterator[Strained]:
    """Yield TIFFs of pages that do not fit each other, are empty, or damaged."""
    mixed = io.BytesIO()
    with tifffile.TiffWriter(mixed) as file:
        for image, options in (
            (GRAY, {"compression": "zlib"}),
            (DEEP[:40], {"compression": "lzw"}),
            (PHOTO, {"photometric": "rgb", "tile": (32, 32)}),
            (GRAY > 99, {}),
            (GRAY.astype("float32"), {}),
            (GRAY.astype("int8"), {}),
        ):
            file.write(image, metadata=None, **({"photometric": "minisblack"} | options))
    yield Strained("mixed pages", "", "sizes and depths", mixed.getvalue())
    pages = by_tifffile(np.stack([GRAY, GRAY, GRAY]), compression="zlib")
    with tifffile.TiffFile(io.BytesIO(pages)) as file:
        second = file.pages[1]
        tags = {tag.code: (tag.offset, tag.valueoffset) for tag in second.tags}
        strip = second.dataoffsets[0]
        chain = second.offset + 2 + 12 * len(second.tags)
        first = file.pages[0].offset
    for code, what in ((256, "no columns"), (257, "no rows"), (273, "no place"), (279, "no bytes")):
        changed = bytearray(pages)
        struct.pack_into("<I", changed, tags[code][0] + 8, 0)
        yield Strained("empty page", "", what, bytes(changed))
    changed = bytearray(pages)
    struct.pack_into("<H", changed, second.offset, 0)
    yield Strained("empty page", "", "no tags", bytes(changed))
    yield Strained("damaged page", "", "strip", pages[: strip + 9] + b"\7" + pages[strip + 10 :])
    for what, value in (("itself", second.offset), ("first", first), ("beyond", 1 << 30)):
        changed = bytearray(pages)
        struct.pack_into("<I", changed, chain, value)
        yield Strained("pages in a circle", "", what, bytes(changed))


def odd_archives() -> Iterator[Strained]:
    """Yield zip files that are nearly an OME-Zarr."""
    for what, files in {
        "nothing": {},
        "text": {"a.txt": b"cat"},
        "group": {"a.zarr/zarr.json": b'{"zarr_format": 3, "node_type": "group"}'},
        "no JSON": {"a.zarr/zarr.json": b"{"},
        "list": {"a.zarr/zarr.json": b"[]"},
        "no shape": {"a.zarr/zarr.json": b'{"zarr_format": 3, "node_type": "array"}'},
        "old array": {"a.zarr/.zarray": b'{"zarr_format": 2, "shape": [0, 4]}'},
        "a way out": {"../../zarr.json": b'{"zarr_format": 3, "node_type": "array"}'},
    }.items():
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        yield Strained("odd archive", "", what, buffer.getvalue())


def strained(
    sound: dict[str, bytes], seed: int, part: int = 0, parts: int = 1
) -> Iterator[Strained]:
    """Yield every strained file; or those of one of several parts of the sound files."""
    for name in list(sound)[part::parts]:
        content = sound[name]
        random = np.random.default_rng([seed, zlib.crc32(name.encode())])
        yield Strained("sound", name, "as it is", content)
        for make in (cut, flipped, miscounted):
            yield from make(name, content, random)
        yield from resized(name, content)
        if name in MISTAGGED:
            yield from mistagged(name, content)
    if part == 0:
        yield from odd_pages()
        yield from odd_archives()
