"""CMYK and Lab, converted to sRGB: by the colour profile of the file, or by a formula."""

from io import BytesIO

import numpy as np
import PIL.Image
from PIL import ImageCms

from cluster_worker.imagefiles.codecs.header import Image

BY_PROFILE = "CMYK was converted to sRGB by its colour profile"
BY_FORMULA = "CMYK was converted to RGB by a formula, as the file has no colour profile for it"

# From Lab with white D50 to linear sRGB, whose white is D65, adapted by Bradford's method.
# Source: ICC.1:2022, annex E, and IEC 61966-2-1.
WHITE = np.array([0.96422, 1.0, 0.82521])
LINEAR = np.array(
    [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
)


def is_cmyk(profile: bytes | None) -> bool:
    """Return whether a colour profile is for CMYK."""
    return bool(profile) and profile is not None and profile[16:20] == b"CMYK"


def cmyk_note(profile: bytes | None) -> str:
    """Return the note on how CMYK is converted."""
    return BY_PROFILE if is_cmyk(profile) else BY_FORMULA


def cmyk_to_rgb(inks: Image, profile: bytes | None) -> Image:
    """Convert CMYK to RGB.

    Parameters
    ----------
    inks : ndarray
        (rows, columns, 4) of uint8; 255 is full ink.
    profile : bytes or None
        Colour profile of the file.

    Returns
    -------
    ndarray
        (rows, columns, 3) of uint8.
    """
    picture = PIL.Image.fromarray(np.ascontiguousarray(inks), "CMYK")
    if profile is not None and is_cmyk(profile):
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        found = ImageCms.profileToProfile(picture, source, target, outputMode="RGB")
        return np.asarray(found)
    return np.asarray(picture.convert("RGB"))


def lab_to_rgb(samples: Image, *, is_icc: bool) -> Image:
    """Convert samples of CIE L*a*b* to sRGB.

    Parameters
    ----------
    samples : ndarray
        (rows, columns, 3) of 8 or 16 bits, as TIFF stores them.
    is_icc : bool
        Whether a* and b* are stored with an offset, as in colour profiles, instead of with a sign.

    Returns
    -------
    ndarray
        (rows, columns, 3) of uint8 or uint16.
    """
    bits = 8 * samples.dtype.itemsize
    unsigned = samples.view(f"u{samples.dtype.itemsize}")
    scale = 1 << (bits - 8)
    greatest = 0xFF00 if is_icc and bits == 16 else (1 << bits) - 1
    lightness = unsigned[..., 0] * (100 / greatest)
    if is_icc:
        red, blue = (unsigned[..., i].astype(np.float64) / scale - 128 for i in (1, 2))
    else:
        red, blue = (unsigned[..., i].view(f"i{bits // 8}") / scale for i in (1, 2))
    middle = (lightness + 16) / 116
    cubes = np.stack([middle + red / 500, middle, middle - blue / 200], axis=-1)
    xyz = np.where(cubes > 6 / 29, cubes**3, (cubes - 4 / 29) * (108 / 841)) * WHITE
    linear = np.clip(xyz @ LINEAR.T, 0, 1)
    shown = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    white = (1 << bits) - 1
    result: Image = np.rint(shown * white).astype(unsigned.dtype)
    return result
