"""PNG of 16 bits as an animation, and interlaced pixels in little memory."""

import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from cluster_worker.imagefiles import formats, stacks
from cluster_worker.imagefiles.codecs.png_chunks import PLACED
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.pixels.shared_memory import Pixels
from cluster_worker.pixels.stack import Stack
from tests.cluster_worker.imagefiles.image_files import picture, read
from tests.cluster_worker.imagefiles.pngs import chunk, woven_png_of


def frames(path):
    whole = formats.read_header(path, path.name, 1_000_000)
    for plane in range(whole.stack.planes):
        header = formats.read_header(path, path.name, 1_000_000, plane)
        out = np.empty(header.shape, header.dtype)
        formats.read_pixels(path, header, out)
        yield header, out


@pytest.mark.parametrize("channels", [(), (2,), (3,), (4,)])
def test_an_animation_of_16_bits_is_read_and_written_frame_by_frame(tmp_path, channels):
    path, again = tmp_path / "a.png", tmp_path / "b.png"
    images = picture("uint16", 3, 20, 30, *channels)
    images[..., -1] |= 0 if channels in ((), (3,)) else 65_535
    path.write_bytes(imagecodecs.apng_encode(images, delay=40))
    found = list(frames(path))
    for (header, pixels), expected in zip(found, images, strict=True):
        assert header.dtype == "uint16"
        np.testing.assert_array_equal(pixels, expected)
    stack = Stack("t", (3,), milliseconds=(40,) * 3)
    writer = stacks.open_stack(again, "png", stack, found[0][0])
    for header, pixels in found:
        stacks.write_plane(writer, pixels, pixels.shape, "uint16", "png", header)
    writer.close()
    for (_, pixels), expected in zip(frames(again), images, strict=True):
        np.testing.assert_array_equal(pixels, expected)


def animated(images, places, bits, encode=imagecodecs.png_encode):
    """Write frames with their places, as (left, top, disposal, blending)."""
    parts = [b"\x89PNG\r\n\x1a\n"]
    number = 0
    for k, (image, (left, top, after, blend)) in enumerate(zip(images, places, strict=True)):
        own = encode(image)
        if k == 0:
            parts += [own[8:33], chunk(b"acTL", struct.pack(">II", len(images), 0))]
        rows, columns = image.shape[:2]
        placed = PLACED.pack(number, columns, rows, left, top, 1, 10, after, blend)
        parts.append(chunk(b"fcTL", placed))
        number += 1
        start = 33
        while start < len(own):
            (length,) = struct.unpack_from(">I", own, start)
            content = own[start + 8 : start + 8 + length]
            if own[start + 4 : start + 8] == b"IDAT" and k == 0:
                parts.append(chunk(b"IDAT", content))
            elif own[start + 4 : start + 8] == b"IDAT":
                parts.append(chunk(b"fdAT", struct.pack(">I", number) + content))
                number += 1
            start += 12 + length
    assert bits == 8 * images[0].dtype.itemsize
    return b"".join((*parts, chunk(b"IEND", b"")))


@pytest.mark.parametrize("bits", [8, 16])
def test_frames_are_laid_over_each_other_as_pillow_does_in_8_bits(tmp_path, bits):
    # Alpha is clear or opaque here, so that 8 and 16 bits round alike.
    images = picture("uint8", 6, 20, 30, 4)
    images[..., 3] = np.where(images[..., 3] > 100, 255, 0)
    places = [(0, 0, 0, 0), (3, 4, 0, 1), (5, 2, 1, 1), (0, 9, 0, 1), (7, 7, 0, 0), (1, 1, 0, 1)]
    cut = [images[0], *(each[:9, :11].copy() for each in images[1:])]
    shallow, path = tmp_path / "8.png", tmp_path / "a.png"
    shallow.write_bytes(animated(cut, places, 8))
    scale, dtype = (257, "uint16") if bits == 16 else (1, "uint8")
    path.write_bytes(animated([each.astype(dtype) * scale for each in cut], places, bits))
    with Image.open(shallow) as file:
        for number, (_, pixels) in enumerate(frames(path)):
            file.seek(number)
            expected = np.asarray(file.convert("RGBA")).astype(dtype) * scale
            np.testing.assert_array_equal(pixels[..., 3], expected[..., 3])
            seen = expected[..., 3] > 0
            np.testing.assert_array_equal(pixels[seen], expected[seen])
    assert number == 5


@pytest.mark.parametrize("bits", [8, 16])
def test_a_frame_that_goes_back_leaves_what_was_there_before_it(tmp_path, bits):
    # Pillow 13 leaves other pixels after such a frame.
    images = picture(f"uint{bits}", 3, 20, 30, 4)
    path, dot = tmp_path / "a.png", np.zeros((1, 1, 4), f"uint{bits}")
    places = [(0, 0, 0, 0), (4, 5, 2, 0), (0, 0, 0, 1)]
    path.write_bytes(animated([images[0], images[1][:9, :11].copy(), dot], places, bits))
    first, second, third = (pixels for _, pixels in frames(path))
    np.testing.assert_array_equal(second[5:14, 4:15], images[1][:9, :11])
    np.testing.assert_array_equal(third, first)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_interlaced_pixels_are_read_as_pillow_reads_them(tmp_path, channels):
    path = tmp_path / "woven.png"
    image = picture("uint8", 33, 45, *((channels,) if channels > 1 else ()))
    path.write_bytes(woven_png_of(image))
    np.testing.assert_array_equal(read(path)[1], image)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), image)


def test_an_interlaced_bomb_takes_little_memory_in_the_child(tmp_path):
    path, shared = tmp_path / "bomb.png", tmp_path / "pixels"
    side = 9000
    path.write_bytes(woven_png_of(np.broadcast_to(np.uint8(0), (side, side, 3))))
    with shared.open("wb") as opened:
        opened.truncate(side * side * 3)
    # The pixels take 232 MiB, which are not the child's own.
    with Decoder(memory_bytes_max=100 << 20) as decoder:
        header = decoder.read_header(path, "bomb.png")
        pixels = Pixels(str(shared), header.shape, header.dtype)
        assert decoder.read_pixels(path, header, pixels) == ()
    assert not pixels.map(writable=False)[::1000].any()


def test_interlaced_frames_of_an_animation_are_read(tmp_path):
    images, path = picture("uint8", 3, 20, 30, 3), tmp_path / "a.png"
    places = [(0, 0, 0, 0), (3, 4, 0, 0), (5, 2, 0, 0)]
    cut = [images[0], *(each[:9, :11].copy() for each in images[1:])]
    path.write_bytes(animated(cut, places, 8, woven_png_of))
    expected = images[0].copy()
    for (left, top, _, _), part, (_, pixels) in zip(places, cut, frames(path), strict=True):
        expected[top : top + len(part), left : left + part.shape[1]] = part
        np.testing.assert_array_equal(pixels, expected)
