"""Formats that this app does not read, told by their first bytes, and the way out of each."""

import re

AS_PICTURE = "save it as PNG or TIFF"
AS_TIFF = "export it as TIFF"
UNPACK = "unpack it, and send the images in it"

# Bytes that are enough to tell all of them.
HEAD_BYTES = 512

# Name, way out, and pattern of the first bytes.
STRANGERS: tuple[tuple[str, str, re.Pattern[bytes]], ...] = tuple(
    (name, way, re.compile(pattern, re.DOTALL))
    for name, way, pattern in (
        ("a PDF document", "export its pages as PNG or TIFF", rb"%PDF"),
        ("a PostScript document", "export it as PNG or TIFF", rb"%!PS|\xc5\xd0\xd3\xc6"),
        ("an SVG drawing", "export it as PNG", rb"\s*(<\?xml.*)?<svg"),
        ("a PAM image", AS_PICTURE, rb"P7\s"),
        ("a float PNM image", AS_TIFF, rb"P[Ff]\s"),
        ("an AVIF animation", AS_PICTURE, rb".{4}ftypavis"),
        ("a HEIC sequence", "save its pictures as JPEG", rb".{4}ftyp(hevc|hevx|msf1)"),
        ("a video", "export its frames as PNG", rb".{4}ftyp|RIFF.{4}AVI |\x1aE\xdf\xa3"),
        ("a JPEG XR image", AS_PICTURE, rb"II\xbc[\x00\x01]"),
        ("a GIMP document", "export it as PNG or TIFF", rb"gimp xcf"),
        ("a cursor", AS_PICTURE, rb"\0\0\x02\0.\0"),
        ("a Radiance HDR image", AS_TIFF, rb"#\?(RADIANCE|RGBE)"),
        ("an HDF5 file", AS_TIFF, rb"\x89HDF\r\n"),
        ("a NumPy array", "save it as TIFF with tifffile", rb"\x93NUMPY"),
        (
            "a raw file of a camera",
            "save it as TIFF with a raw converter",
            rb"FUJIFILMCCD|IIRO|IIU\0",
        ),
        ("a zip archive", UNPACK, rb"PK\x03\x04"),
        ("a 7z or rar archive", UNPACK, rb"7z\xbc\xaf|Rar!"),
        ("an HTML page", "download the image itself", rb"\s*<(!DOCTYPE|html)"),
        ("JSON", "send the image itself", rb"\s*[\[{]\s*[\"\[{\]}]"),
    )
)


def stranger(head: bytes) -> tuple[str, str] | None:
    """Return the name of a format that is not read, and the way out; None if it is not known.

    Parameters
    ----------
    head : bytes
        The first `HEAD_BYTES` of a file.
    """
    for name, way, pattern in STRANGERS:
        if pattern.match(head):
            return name, way
    return None
