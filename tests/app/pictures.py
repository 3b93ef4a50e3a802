"""Files to send through the app, and checks of what comes back."""

import io
import struct
import zlib

import numpy as np
import tifffile
from PIL import Image
from skimage import data, filters, util

BLUR = [{"operation": "gaussian", "sigma": 2.0}]


def png(image):
    """Encode as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg(image):
    """Encode as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def tiff(image):
    """Encode as TIFF."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image)
    return buffer.getvalue()


def pixels(content):
    """Decode a PNG."""
    return np.asarray(Image.open(io.BytesIO(content)))


def tiff_pixels(content):
    """Decode a TIFF."""
    return tifffile.imread(io.BytesIO(content))


def assert_blurred(found, image):
    """Compare with scikit-image's own blur, rounded once."""
    axis = 2 if image.ndim == 3 else None
    assert_rounded(found, filters.gaussian(util.img_as_float32(image), 2.0, channel_axis=axis))


def assert_rounded(found, floats):
    """Compare levels with floats of 0…1: they may differ by rounding and by the error of floats."""
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found, floats * 255.0, rtol=0, atol=0.5 + 255e-6)


def small(number):
    """Make a small photograph that differs for each number."""
    return np.roll(data.astronaut()[:192, :160], number, axis=0)


def zeros_of(rows, columns):
    """Make a PNG of zeros without holding its pixels."""

    def chunk(kind, body):
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    # A full flush makes each block independent of earlier ones, so that one block serves for all.
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = deflate.compress(bytes(100 * (columns + 1))) + deflate.flush(zlib.Z_FULL_FLUSH)
    adler = (rows * (columns + 1) % 65521) << 16 | 1
    body = b"\x78\xda" + block * (rows // 100) + deflate.flush() + struct.pack(">I", adler)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
