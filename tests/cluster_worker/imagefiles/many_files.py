"""Image files of all containers, compressions, depths, colours and planes, with their references.

Each case writes a file by the library that knows the container best, and says which planes another
reader, or the library itself, finds in it. A case is made twice with the same pixels.
"""

import zlib
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import imagecodecs
import numpy as np
import pydicom
import tifffile
import zarr
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

from tests.cluster_worker.imagefiles.test_dicom import LOSSLESS
from tests.cluster_worker.imagefiles.test_dicom import dicom as write_dicom
from tests.cluster_worker.imagefiles.test_ome_zarr import make as write_zarr

ROWS, COLUMNS = 40, 56
WHOLE = ("uint8", "uint16")
NUMBERS = (*WHOLE, "int8", "int16", "int32", "uint32", "int64", "uint64")
ALL = (*NUMBERS, "float16", "float32", "float64")
COLOURS = {"gray": (), "rgb": (3,), "bands": (5,), "alpha": (4,)}


class Case(NamedTuple):
    """A file: its name, how it is written, and how its planes are read by the reference.

    `write(path)` writes it; `reference(path)` returns the planes in their order.
    """

    name: str
    container: str
    ending: str
    write: Callable[[Path], None]
    reference: Callable[[Path], list[np.ndarray]]


def pixels(name, dtype, *shape):
    """Return pixels that depend on the name of a case alone."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if dtype == "bool":
        return random.random(shape) > 0.5
    if dtype.startswith("float"):
        return random.normal(size=shape).astype(dtype)
    return random.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def smooth(name, dtype, *shape):
    """Return pixels for a codec with loss, with as many levels."""
    most = np.iinfo(dtype).max
    ramp = np.add.outer(np.arange(shape[0]), np.arange(shape[1])) / (shape[0] + shape[1])
    image = ramp if len(shape) == 2 else np.stack([ramp, ramp[::-1], ramp[:, ::-1]], axis=2)
    return (image * most).astype(dtype)


def by_tifffile(planes, path):
    """Read the planes of a TIFF by tifffile."""
    image = tifffile.imread(path)
    return [image] if planes == 1 else list(image.reshape(planes, *image.shape[-2:]))


def by_pillow(path, mode=None):
    """Read the frames of a file by Pillow."""
    with Image.open(path) as file:
        found = []
        for number in range(getattr(file, "n_frames", 1)):
            file.seek(number)
            found.append(np.asarray(file.convert(mode) if mode else file).copy())
        return found


def by_codec(decode, path):
    """Read a picture by a function of imagecodecs."""
    return [decode(path.read_bytes())]


def tiff_options(colour, **options):
    if colour == "alpha":
        options["extrasamples"] = ["unassalpha"]
    photometric = "rgb" if colour in ("rgb", "alpha") else "minisblack"
    planar = {} if colour == "gray" else {"planarconfig": "contig"}
    return {"photometric": photometric, "metadata": None, **planar, **options}


def tiffs():
    """Yield TIFFs: compression × depth × colour × layout."""
    compressions = {
        **dict.fromkeys((None, "zlib", "lzw", "zstd", "lzma"), ALL),
        "packbits": ("uint8", "int16", "float32"),
        "lerc": ("uint8", "uint16", "int16", "uint32", "float32", "float64"),
        "png": WHOLE,
        "jpeg2000": WHOLE,
        "jpegxl": WHOLE,
        "jpegxr": ("uint8",),
    }
    layouts = {"strips": {"rowsperstrip": 9}, "tiles": {"tile": (16, 32)}}
    for (compression, dtypes), layout in product(compressions.items(), layouts):
        for dtype in dtypes:
            yield tiff(compression, dtype, "gray", layout, layouts[layout])
    colours = product((None, "zlib", "lzw", "zstd"), WHOLE, ("rgb", "bands", "alpha"), layouts)
    for compression, dtype, colour, layout in colours:
        yield tiff(compression, dtype, colour, layout, layouts[layout])
    for dtype, byteorder in product(ALL, "<>"):
        more = {"byteorder": byteorder, "bigtiff": True}
        yield tiff("zlib", dtype, "gray", f"bigtiff{byteorder}", more)


def tiff(compression, dtype, colour, layout, options):
    name = f"tiff-{compression}-{dtype}-{colour}-{layout}"

    def write(path):
        image = pixels(name, dtype, ROWS, COLUMNS, *COLOURS[colour])
        given = tiff_options(colour, compression=compression, **options)
        tifffile.imwrite(path, image, **given)

    return Case(name, "TIFF", "tif", write, partial(by_tifffile, 1))


def tiff_stacks():
    """Yield TIFFs of several planes: OME-TIFF, ImageJ, tifffile's own, and pages."""
    forms = {
        "ome": {"ome": True, "metadata": {"axes": "TCYX"}},
        "imagej": {"imagej": True, "metadata": {"axes": "TCYX"}},
        "shaped": {},
        "pages": {"metadata": None},
    }
    for (form, options), compression in product(forms.items(), (None, "zlib", "zstd")):
        dtypes = (
            ("uint8", "uint16", "float32") if form == "imagej" else ("uint8", "int16", "float32")
        )
        for dtype in dtypes:
            name = f"{form}-{compression}-{dtype}"
            if form == "imagej" and compression:
                continue

            def write(path, name=name, dtype=dtype, options=options, compression=compression):
                image = pixels(name, dtype, 2, 3, ROWS, COLUMNS)
                image = image.reshape(6, ROWS, COLUMNS) if options == {"metadata": None} else image
                given = {"photometric": "minisblack", "compression": compression, **options}
                tifffile.imwrite(path, image, **given)

            yield Case(name, f"TIFF, {form}", "tif", write, partial(by_tifffile, 6))


def faxes():
    for compression in ("group3", "group4", "tiff_ccitt", "tiff_lzw", "packbits", "tiff_deflate"):
        name = f"fax-{compression}"

        def write(path, name=name, compression=compression):
            Image.fromarray(pixels(name, "bool", ROWS, 64)).save(path, compression=compression)

        yield Case(name, "TIFF", "tif", write, by_pillow)


def pictures_by_pillow():
    """Yield PNG, WebP, GIF, BMP and PNM by Pillow: modes and options."""
    shapes = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,)}
    listed = [("PNG", mode, {"compress_level": level}) for mode in shapes for level in (0, 6)]
    listed += [("WEBP", mode, {"lossless": True, "exact": True}) for mode in ("RGB", "RGBA")]
    listed += [("WEBP", "RGB", {"quality": quality}) for quality in (60, 90)]
    listed += [("BMP", mode, {}) for mode in ("L", "RGB")]
    listed += [("PPM", mode, {}) for mode in ("L", "RGB")]
    listed += [("GIF", "L", {"interlace": interlace}) for interlace in (0, 1)]
    for form, mode, options in listed:
        name = f"{form}-{mode}-{options}"

        def write(path, name=name, form=form, mode=mode, options=options):
            image = Image.fromarray(pixels(name, "uint8", ROWS, COLUMNS, *shapes[mode]))
            assert image.mode == mode
            image.save(path, form, **options)

        own = {"PPM": "PNM", "WEBP": "WebP"}.get(form, form)
        yield Case(name, own, form.lower(), write, partial(by_pillow, mode=mode))
    for form, bits in product(("PNG", "BMP"), (1, 2, 4, 8)):
        if form == "BMP" and bits not in (1, 8):
            continue
        name = f"{form}-palette-{bits}"

        def write(path, name=name, form=form, bits=bits):
            image = pixels(name, "uint8", ROWS, COLUMNS) & ((1 << bits) - 1)
            table = pixels(f"{name}-table", "uint8", 1 << bits, 3)
            picture = Image.fromarray(image)
            picture.putpalette(table.tobytes())
            picture.save(path, form, **({"bits": bits} if form == "PNG" else {}))

        yield Case(name, form, form.lower(), write, partial(by_pillow, mode="RGB"))
    for form in ("PNG", "PPM", "TIFF"):
        name = f"{form}-bilevel"

        def write(path, name=name, form=form):
            Image.fromarray(pixels(name, "bool", ROWS, COLUMNS)).save(path, form)

        own = {"PPM": "PNM"}.get(form, form)
        yield Case(name, own, form.lower(), write, by_pillow)


def animations():
    for form, mode in (("GIF", "RGB"), ("PNG", "RGB"), ("PNG", "RGBA"), ("WEBP", "RGBA")):
        name = f"{form}-frames-{mode}"

        def write(path, name=name, form=form, mode=mode):
            # Few colours, so that those of a GIF are exact.
            image = pixels(name, "uint8", 4, ROWS, COLUMNS, len(mode)) // 128 * 100
            image[..., 3:] = 255
            first, *others = [Image.fromarray(each) for each in image]
            options = {"lossless": True} if form == "WEBP" else {}
            first.save(path, form, save_all=True, append_images=others, duration=50, **options)

        own = {"WEBP": "WebP"}.get(form, form)
        yield Case(name, f"{own}, frames", form.lower(), write, partial(by_pillow, mode=mode))


def pngs_of_16_bits():
    for colour, level in product(((), (2,), (3,), (4,)), (0, 6)):
        name = f"png-16-{colour}-{level}"

        def write(path, name=name, colour=colour, level=level):
            image = pixels(name, "uint16", ROWS, COLUMNS, *colour)
            path.write_bytes(imagecodecs.png_encode(image, level=level))

        yield Case(name, "PNG", "png", write, partial(by_codec, imagecodecs.png_decode))


def jpegs():
    """Yield JPEGs: 8 bits with all subsamplings, 12 bits, and 2 to 16 bits without loss."""
    for colour, subsampling, level in product(("gray", "rgb"), ("444", "422", "420"), (60, 95)):
        name = f"jpeg-{colour}-{subsampling}-{level}"

        def write(path, name=name, colour=colour, subsampling=subsampling, level=level):
            image = smooth(name, "uint8", ROWS, COLUMNS, *COLOURS[colour])
            options = {"subsampling": subsampling} if colour == "rgb" else {}
            path.write_bytes(imagecodecs.jpeg8_encode(image, level=level, **options))

        yield Case(name, "JPEG", "jpg", write, partial(by_codec, imagecodecs.jpeg8_decode))
    for colour, bits in product(("gray", "rgb"), (8, 12, 16)):
        for lossless in (False, True) if bits < 16 else (True,):
            name = f"jpeg-{colour}-{bits}-{lossless}"

            def write(path, name=name, colour=colour, bits=bits, lossless=lossless):
                dtype = "uint8" if bits == 8 else "uint16"
                image = pixels(name, dtype, ROWS, COLUMNS, *COLOURS[colour]) & ((1 << bits) - 1)
                coded = {"bitspersample": bits, "lossless": lossless}
                path.write_bytes(imagecodecs.jpeg8_encode(image, **coded))

            yield Case(name, "JPEG", "jpg", write, partial(by_codec, imagecodecs.jpeg8_decode))


def newer_codecs():
    """Yield JPEG 2000 and AVIF by imagecodecs: depth × colour × kind of file."""
    for dtype, colour, form in product(WHOLE, ("gray", "rgb"), ("jp2", "j2k")):
        for reversible in (True, False):
            name = f"{form}-{dtype}-{colour}-{reversible}"

            def write(
                path, name=name, dtype=dtype, colour=colour, form=form, reversible=reversible
            ):
                image = pixels(name, dtype, ROWS, COLUMNS, *COLOURS[colour])
                level = 0 if reversible else 40
                coded = {"codecformat": form, "reversible": reversible, "level": level}
                path.write_bytes(imagecodecs.jpeg2k_encode(image, **coded))

            reference = partial(by_codec, imagecodecs.jpeg2k_decode)
            yield Case(name, "JPEG 2000", form, write, reference)
    for bits, colour in product((8, 10, 12), ((3,), (4,))):
        name = f"avif-{bits}-{colour}"

        def write(path, name=name, bits=bits, colour=colour):
            dtype = "uint8" if bits == 8 else "uint16"
            image = pixels(name, dtype, ROWS, COLUMNS, *colour) & ((1 << bits) - 1)
            path.write_bytes(imagecodecs.avif_encode(image, level=90, speed=10, bitspersample=bits))

        yield Case(name, "AVIF", "avif", write, partial(by_codec, imagecodecs.avif_decode))


def by_pydicom(path):
    """Read the frames of a file by pydicom; by its codec where it knows none."""
    found = pydicom.dcmread(path)
    image = pydicom.pixels.apply_rescale(found.pixel_array, found)
    return list(image) if int(found.get("NumberOfFrames", 1)) > 1 else [image]


def dicoms():
    """Yield DICOM files: compression × depth × frames."""
    plain = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    depths = (("uint8", 8), ("uint16", 10), ("uint16", 12), ("uint16", 16), ("int16", 16))
    for syntax, (dtype, bits), frames in product((*plain, *LOSSLESS), depths, (1, 3)):
        name = f"dicom-{syntax.name[:24]}-{dtype}-{bits}-{frames}"
        shape = (ROWS, COLUMNS) if frames == 1 else (frames, ROWS, COLUMNS)

        def image_of(name=name, dtype=dtype, bits=bits, shape=shape):
            image = pixels(name, dtype, *shape)
            return image & ((1 << bits) - 1) if dtype.startswith("u") else image

        def write(path, image_of=image_of, syntax=syntax, bits=bits):
            image = image_of()
            coded = None
            if syntax in LOSSLESS:
                stored = image.view("uint16") if image.dtype.kind == "i" else image
                each = stored if stored.ndim == 3 else stored[np.newaxis]
                coded = [LOSSLESS[syntax](frame) for frame in each]
            write_dicom(path, image, syntax, coded, BitsStored=bits)

        def reference(path, image_of=image_of):
            # pydicom alone decodes neither JPEG-LS nor JPEG without loss: all are lossless.
            image = image_of()
            return [image] if image.ndim == 2 else list(image)

        known = syntax in plain
        yield Case(name, "DICOM", "dcm", write, by_pydicom if known else reference)


def zarrs():
    """Yield OME-Zarrs: version × codec × depth × planes."""
    codecs = {
        "plain": None,
        "zstd": ZstdCodec(level=1),
        "gzip": GzipCodec(),
        "blosc": BloscCodec(cname="zstd", shuffle="shuffle", typesize=2),
    }
    dtypes = ("uint8", "uint16", "int32", "float32", "float64")
    for codec, dtype, axes, shards in product(codecs, dtypes, ("yx", "czyx"), (False, True)):
        name = f"zarr-{codec}-{dtype}-{axes}-{shards}"
        shape = {"yx": (ROWS, COLUMNS), "czyx": (2, 3, ROWS, COLUMNS)}[axes]

        def write(path, name=name, dtype=dtype, axes=axes, shape=shape, codec=codec, shards=shards):
            chunks = (*(1 for _ in axes[:-2]), 16, 16)
            options = {"chunks": chunks, "compressors": codecs[codec]}
            if shards:
                options["shards"] = (*(1 for _ in axes[:-2]), 32, 32)
            image = pixels(name, dtype, *shape)
            write_zarr(path, image, axes, [1.0] * len(axes), **options)

        yield Case(name, "OME-Zarr 0.5", "zarr", write, by_zarr)
    for dtype, order in product(dtypes, "CF"):
        name = f"zarr-2-{dtype}-{order}"

        def write(path, name=name, dtype=dtype, order=order):
            image = pixels(name, dtype, 2, ROWS, COLUMNS)
            given = {"chunks": (1, 16, 16), "order": order}
            write_zarr(path, image, "zyx", [1.0] * 3, "0.4", **given)

        yield Case(name, "OME-Zarr 0.4", "zarr", write, by_zarr)


def by_zarr(path):
    """Read the planes of an OME-Zarr by the library zarr."""
    image = zarr.open_group(path, mode="r")["0"][...]
    return list(image.reshape(-1, *image.shape[-2:]))


def cases():
    """Return all cases."""
    makers = (
        *(tiffs, tiff_stacks, faxes, pictures_by_pillow, animations, pngs_of_16_bits, jpegs),
        *(newer_codecs, dicoms, zarrs),
    )
    found = [case for make in makers for case in make()]
    assert len({case.name for case in found}) == len(found)
    return found
