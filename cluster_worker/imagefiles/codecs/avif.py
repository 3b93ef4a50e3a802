"""AVIF: gray and RGB of 8 to 12 bits, with or without alpha; results of 8 bits.

Pillow reads everything but the pixels, which it would reduce to 8 bits, and writes results. Source
of the number of bits: AV1 codec ISO media file format binding, section 2.3 (the box av1C).
"""

import re
from pathlib import Path
from typing import Any

import PIL.Image
from imagecodecs import avif_decode
from PIL.AvifImagePlugin import AvifImageFile

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import (
    Format,
    Header,
    Image,
    as_stored,
    fitting_profile,
    in_8_bits,
    upright_shape,
    valid_orientation,
    valid_profile,
    without_channels,
)
from cluster_worker.imagefiles.codecs.items import Item, first_of, upright_xmp, within_limit
from cluster_worker.imagefiles.codecs.pillow import (
    ORIENTATION,
    exif_of,
    resolution_of,
    result_exif,
)
from cluster_worker.imagefiles.output import FULL_COLOUR
from cluster_worker.pixels.header import header_of

CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
# The box that says how pixels are coded, where the third byte of its content has the bits, and how
# far from its beginning a file has it.
CODING, BITS_AT, HEAD_BYTES = b"av1C", 6, 1 << 20
HIGH, TWELVE, BITS = 0x40, 0x20, (8, 10, 12)

# Close to the original, with the colours of each pixel. Speeds go from 0 to 10: a picture of 3
# megapixels takes 2 s at this one, and 100 s at 0.
QUALITY, SPEED = 90, 8
SIDE_MAX = 65_536


def read_header(path: Path, name: str) -> Header:
    """Read an AVIF's header.

    Raises
    ------
    Rejected
        If it is an animation.
    OSError, ValueError
        If it is damaged.
    """
    with path.open("rb") as opened:
        head = opened.read(HEAD_BYTES)
        opened.seek(0)
        file: Any = AvifImageFile(opened)
        if getattr(file, "n_frames", 1) > 1:
            raise Rejected(
                f"{name}: is an AVIF animation of {file.n_frames} pictures; animations are read "
                "as GIF, WebP and PNG, so save it as one of them"
            )
        columns, rows = file.size
        exif, items, notes = exif_of(file.info.get("exif", b""))
        if file.info.get("xmp"):
            items += (Item("xmp", "", file.info["xmp"]),)
        profile, dropped = valid_profile(file.info.get("icc_profile"))
        channels = CHANNELS[file.mode]
    bits = bits_in(head)
    items, over = within_limit(items)
    orientation = valid_orientation(exif.get(ORIENTATION))
    shape = upright_shape(rows, columns, channels, orientation)
    image = header_of(shape, "uint8" if bits == BITS[0] else "uint16", alpha=channels in (2, 4))
    if image.dtype == "uint16" and image.colours == 1:
        image = image._replace(kind="intensity")
    return Header(
        name=name,
        format="avif",
        image=image,
        orientation=orientation,
        icc_profile=profile,
        resolution=resolution_of(None, exif, orientation),
        notes=notes + dropped + over,
        bits=bits if bits > BITS[0] else 0,
        items=items,
    )


def bits_in(head: bytes) -> int:
    """Return the bits of a sample, from the first bytes of a file; 8 if they do not say."""
    place = head.find(CODING)
    flags = head[place + BITS_AT] if 0 <= place < len(head) - BITS_AT else 0
    return BITS[2] if flags & TWELVE else BITS[1] if flags & HIGH else BITS[0]


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode an AVIF into `out`.

    Raises
    ------
    ValueError
        If the pixels are not those of the header.
    AvifError
        If the file is damaged.
    """
    stored = as_stored(out, header.orientation)
    pixels = avif_decode(path.read_bytes())
    if pixels.shape != stored.shape or pixels.dtype != stored.dtype:
        raise ValueError(f"pixels of {pixels.shape} and {pixels.dtype}, not of {stored.shape}")
    stored[...] = pixels
    return ()


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write an AVIF of 8 bits, close to the original; gray with alpha becomes colours."""
    picture = PIL.Image.fromarray(without_channels(in_8_bits(image)))
    picture = picture.convert("RGBA") if picture.mode == "LA" else picture
    profile, notes = fitting_profile((*image.shape[:2], len(picture.mode)), header)
    exif, lost = result_exif(header, image.shape, always=True, texts=True)
    xmp = upright_xmp(first_of(header.items, "xmp"))
    more = {"exif": exif, "xmp": xmp, "icc_profile": profile}
    picture.save(
        path,
        "AVIF",
        quality=header.output.quality or QUALITY,
        subsampling=":".join(header.output.subsampling or FULL_COLOUR),
        speed=SPEED,
        **{name: value for name, value in more.items() if value},
    )
    return notes + lost


AVIF = Format(
    name="avif",
    title="AVIF",
    extensions=("avif",),
    media_type="image/avif",
    magic=re.compile(rb".{4}ftypavif", re.DOTALL),
    read_header=read_header,
    read_pixels=read_pixels,
    write=write,
    dtypes=("bool", "uint8"),
    carries=frozenset(("profile", "resolution", "exif", "xmp", "text")),
    side_max=SIDE_MAX,
    has_quality=True,
)
