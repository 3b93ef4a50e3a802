"""OME-Zarr: read as the library zarr reads it, written so that it reads the same."""

import json
import shutil
import zipfile

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, GzipCodec, ShardingCodec, TransposeCodec, ZstdCodec

from cluster_worker.engine import folders
from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats, stacks
from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.imagefiles.codecs.zarr_writing import crc32c, unpack
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.pixels.header import RGB, ImageHeader
from cluster_worker.pixels.stack import Stack
from tests.cluster_worker.imagefiles.image_files import picture, read, refusal

MICROMETRE = {"type": "space", "unit": "micrometer"}
AXES = {
    "t": {"name": "t", "type": "time"},
    "c": {"name": "c", "type": "channel"},
    **{name: {"name": name, **MICROMETRE} for name in "zyx"},
}


def multiscales(axes, scale, version):
    change = [{"type": "scale", "scale": scale}]
    return {
        "multiscales": [
            {
                "version": version,
                "axes": [AXES[axis] for axis in axes],
                "datasets": [{"path": "0", "coordinateTransformations": change}],
            }
        ]
    }


def make(path, image, axes, scale, version="0.5", more=(), **options):
    """Write an OME-Zarr by the library."""
    form = 3 if version == "0.5" else 2
    group = zarr.open_group(path, mode="w", zarr_format=form)
    described = multiscales(axes, scale, version) | dict(more)
    group.attrs.update({"ome": described} if form == 3 else described)
    options = {"chunks": tuple(min(16, each) for each in image.shape)} | options
    array = group.create_array("0", shape=image.shape, dtype=image.dtype, **options)
    array[...] = image
    return array


def zipped(folder, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(folder.rglob("*")):
            archive.write(each, each.relative_to(folder.parent))


def planes(path, count):
    for number in range(count):
        header = formats.read_header(path, path.name, 1_000_000, number)
        out = np.empty(header.shape, header.dtype)
        formats.read_pixels(path, header, out)
        yield header, out


V3 = {
    "plain": {"compressors": None},
    "zstd": {"compressors": ZstdCodec(level=3)},
    "gzip": {"compressors": GzipCodec()},
    "blosc": {"compressors": BloscCodec(cname="lz4", shuffle="bitshuffle", typesize=2)},
    "turned": {"compressors": ZstdCodec(), "filters": TransposeCodec(order=(1, 0))},
    "shards": {"chunks": (16, 16), "shards": (32, 32), "compressors": ZstdCodec()},
    "index first": {
        "serializer": ShardingCodec(chunk_shape=(8, 8), index_location="start"),
        "chunks": (32, 32),
        "compressors": None,
    },
}


@pytest.mark.parametrize("codec", V3)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "bool"])
def test_version_0_5_is_read_whole_and_by_windows(tmp_path, codec, dtype):
    path, image = tmp_path / "a.ome.zarr", picture(dtype, 50, 70)
    make(path, image, "yx", [0.5, 0.25], **V3[codec])
    header, pixels = read(path)
    np.testing.assert_array_equal(pixels, image)
    assert header.dtype == dtype
    assert header.image.pixel_size == pytest.approx((0.5e-6, 0.25e-6))
    assert header.block is not None
    out = np.empty((30, 41), dtype)
    formats.read_window(path, header, 7, 37, 20, 61, out)
    np.testing.assert_array_equal(out, image[7:37, 20:61])


@pytest.mark.parametrize("separator", [".", "/"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["uint8", ">u2", "<f4"])
def test_version_0_4_is_read_with_its_axes_and_names(tmp_path, separator, order, dtype):
    path, image = tmp_path / "a.zarr", picture("uint8", 2, 3, 4, 20, 30).astype(dtype)
    names = {"omero": {"channels": [{"label": each} for each in ("DAPI", "GFP", "red")]}}
    key = {"name": "v2", "separator": separator}
    given = {"chunk_key_encoding": key, "order": order, "chunks": (1, 2, 3, 16, 16)}
    make(path, image, "tczyx", [1, 1, 2, 0.5, 0.5], "0.4", names, **given)
    whole = formats.read_header(path, "a.zarr", 1_000_000)
    assert whole.stack == Stack("tcz", (2, 3, 4), ("DAPI", "GFP", "red"), 2e-6)
    for (_, pixels), expected in zip(planes(path, 24), image.reshape(24, 20, 30), strict=True):
        np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("inside", [False, True])
def test_a_zip_file_is_read_in_the_child_process_wherever_its_top_lies(tmp_path, inside):
    image, folder = picture("uint16", 3, 40, 40), tmp_path / "a.zarr"
    make(folder, image, "zyx", [2, 1, 1])
    path = tmp_path / "a.zarr.zip"
    if inside:
        zipped(folder, path)
    else:
        shutil.make_archive(tmp_path / "a.zarr", "zip", folder)
    with Decoder() as decoder:
        header = decoder.read_header(path, "a.zarr.zip")
    assert (header.format, header.stack.axes) == ("zarr", "z")
    for (_, pixels), expected in zip(planes(path, 3), image, strict=True):
        np.testing.assert_array_equal(pixels, expected)


def test_chunks_that_are_left_out_hold_the_fill_value(tmp_path):
    path = tmp_path / "a.zarr"
    array = make(path, np.full((40, 40), 7, np.uint8), "yx", [1, 1], fill_value=9)
    expected = np.full((40, 40), 9, np.uint8)
    shutil.rmtree(path / "0" / "c")
    np.testing.assert_array_equal(read(path)[1], expected)
    array[20:30, 20:30] = 3
    expected[20:30, 20:30] = 3
    np.testing.assert_array_equal(read(path)[1], expected)


def header_of(image, **fields):
    axes = "yxs"[: image.ndim]
    described = ImageHeader(image.shape, image.dtype.name, axes, **fields)
    return Header("cells.tif", "tiff", described)


@pytest.mark.parametrize(
    ("dtype", "channels", "kind"),
    [
        ("uint8", 0, "picture"),
        ("uint16", 0, "intensity"),
        ("float32", 0, "intensity"),
        ("bool", 0, "mask"),
        ("uint32", 0, "labels"),
        ("uint8", 3, "picture"),
        ("uint8", 4, "picture"),
    ],
)
@pytest.mark.parametrize("tiled", [False, True])
def test_what_is_written_is_read_by_the_library_and_by_us(tmp_path, dtype, channels, kind, tiled):
    image = picture(dtype, 700, 530, *((channels,) if channels else ()))
    path, folder = tmp_path / "out.zarr.zip", tmp_path / "out.zarr"
    colour = {"channels": RGB, "alpha": channels == 4} if channels else {}
    header = header_of(image, kind=kind, pixel_size=(0.5e-6, 0.25e-6), **colour)
    if tiled:
        spool = tmp_path / "spool"
        ranges = formats.encode_tiles(spool, image, "zarr", "a")
        pieces = [(spool, *each) for each in ranges]
        formats.assemble(path, pieces, image.shape, dtype, "zarr", header)
    else:
        formats.write(path, image, "zarr", header)
    unpack(path, folder)
    group = zarr.open_group(folder, mode="r")
    ome = group.attrs["ome"]
    assert ome["version"] == "0.5"
    datasets = ome["multiscales"][0]["datasets"]
    shapes = [group[each["path"]].shape[-2:] for each in datasets]
    assert shapes == [(700, 530), (350, 265), (175, 133)]
    assert datasets[1]["coordinateTransformations"][0]["scale"][-2:] == pytest.approx([1, 0.5])
    stored = group["0"][...]
    expected = np.moveaxis(image, 2, 0) if channels else image
    np.testing.assert_array_equal(stored, expected)
    if kind in ("mask", "labels"):
        np.testing.assert_array_equal(group["1"][...], image[::2, ::2])
    for each in (path, folder):
        again, pixels = read(each)
        np.testing.assert_array_equal(pixels, image)
        assert (again.image.kind, again.has_alpha) == (kind, channels == 4)
        assert again.image.pixel_size == pytest.approx((0.5e-6, 0.25e-6))


@pytest.mark.parametrize("axes", ["zc", "tz", "p", "ctz"])
def test_a_stack_is_written_with_its_axes(tmp_path, axes):
    shape = tuple(range(2, 2 + len(axes)))
    names = ("DAPI", "GFP", "x", "y")[: shape[axes.index("c")]] if "c" in axes else ()
    stack = Stack(axes, shape, names, 2e-6 if "z" in axes else None)
    path, images = tmp_path / "out.ozx", picture("uint16", stack.planes, 40, 50)
    header = header_of(images[0], kind="intensity", pixel_size=(0.5e-6, 0.5e-6))
    writer = stacks.open_stack(path, "zarr", stack, header)
    for image in images:
        stacks.write_plane(writer, image, image.shape, "uint16", "zarr", header)
    writer.close()
    whole = formats.read_header(path, "out.ozx", 1_000_000)
    order = "".join(axis for axis in "tcpz" if axis in axes)
    assert whole.stack.axes == order
    assert whole.stack.channels == names
    assert whole.stack.step == (pytest.approx(2e-6) if "z" in axes else None)
    grid = images.reshape(*shape, 40, 50)
    grid = np.moveaxis(grid, [axes.index(axis) for axis in order], range(len(order)))
    for (_, pixels), expected in zip(
        planes(path, stack.planes), grid.reshape(-1, 40, 50), strict=True
    ):
        np.testing.assert_array_equal(pixels, expected)


def test_planes_that_differ_are_refused(tmp_path):
    image = picture("uint8", 40, 50)
    writer = stacks.open_stack(tmp_path / "a", "zarr", Stack("z", (2,)), header_of(image))
    other = image[:30]
    with pytest.raises(Rejected, match="planes of an OME-Zarr are alike, so choose TIFF"):
        stacks.write_plane(writer, other, other.shape, "uint8", "zarr", header_of(other))
    writer.close()


def test_the_checksum_is_that_of_the_standard():
    assert crc32c(b"123456789") == 0xE3069283


def test_a_hostile_zarr_reads_no_file_beside_it(tmp_path):
    secret = tmp_path / "secret"
    make(secret, picture("uint8", 16, 16), "yx", [1, 1], compressors=None)
    path = tmp_path / "a.zarr"
    make(path, picture("uint8", 16, 16), "yx", [1, 1])
    text = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(text.replace('"path": "0"', '"path": "../secret/0"'))
    assert refusal(path).startswith("the file is damaged and cannot be read as OME-Zarr; ")
    (path / "zarr.json").write_text(text.replace('"path": "0"', '"path": "link"'))
    (path / "link").symlink_to(secret / "0")
    assert refusal(path).startswith("the file is damaged and cannot be read as OME-Zarr; ")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"plate": {}}, "is a plate of many images; give one of them, such as"),
        ({"multiscales": []}, "is a Zarr without an image at its top"),
    ],
)
def test_what_holds_no_image_at_its_top_is_refused(tmp_path, change, sentence):
    path = tmp_path / "a.zarr"
    make(path, picture("uint8", 16, 16), "yx", [1, 1], more=change)
    assert refusal(path).startswith(sentence)


def test_a_chunk_that_is_damaged_or_huge_is_refused(tmp_path):
    path = tmp_path / "a.zarr"
    make(path, picture("uint8", 16, 16), "yx", [1, 1], compressors=ZstdCodec())
    (chunk,) = (path / "0" / "c").rglob("0/0")
    chunk.write_bytes(chunk.read_bytes()[:-9])
    assert "damaged" in refusal(path)
    found = json.loads((path / "0" / "zarr.json").read_text())
    found["chunk_grid"]["configuration"]["chunk_shape"] = [1 << 16, 1 << 16]
    (path / "0" / "zarr.json").write_text(json.dumps(found))
    assert refusal(path) == "has chunks of more than 1024 MiB; write it in smaller ones"


def test_a_folder_of_files_takes_a_zarr_as_one_file(tmp_path):
    make(tmp_path / "in" / "a.ome.zarr", picture("uint8", 16, 16), "yx", [1, 1])
    make(tmp_path / "in" / "b.zarr", picture("uint8", 16, 16), "yx", [1, 1])
    (tmp_path / "in" / "c.tif").touch()
    found = folders.list_files(tmp_path / "in", tmp_path / "out")
    assert [each.name for each in found] == ["a.ome.zarr", "b.zarr", "c.tif"]
    assert [each.ending("zarr") for each in found] == [".zarr", ".zarr", ".zarr.zip"]
    assert not folders.is_folder(tmp_path / "in" / "b.zarr")


@pytest.mark.parametrize("codec", ["zstd", "shards", "index first"])
def test_the_list_of_a_deflated_zip_is_read_once(tmp_path, monkeypatch, codec):
    folder, path = tmp_path / "a.zarr", tmp_path / "a.zarr.zip"
    image = picture("uint16", 50, 70)
    make(folder, image, "yx", [1, 1], **V3[codec])
    zipped(folder, path)
    opened, known = [], zipfile.ZipFile
    monkeypatch.setattr(zipfile, "ZipFile", lambda *given: opened.append(given) or known(*given))
    np.testing.assert_array_equal(read(path)[1], image)
    assert len(opened) == 1


def test_a_damaged_part_of_a_deflated_zip_is_refused(tmp_path):
    folder, path = tmp_path / "a.zarr", tmp_path / "a.zarr.zip"
    make(folder, picture("uint16", 50, 70), "yx", [1, 1], chunks=(50, 70), compressors=None)
    zipped(folder, path)
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("a.zarr/0/c/0/0")
    content = bytearray(path.read_bytes())
    content[entry.header_offset + 2000] ^= 255
    path.write_bytes(content)
    assert refusal(path).startswith("the file is damaged and cannot be read as OME-Zarr; ")


@pytest.mark.parametrize("codec", ["plain", "shards", "index first"])
def test_a_folder_that_is_written_again_in_place_gives_its_new_pixels(tmp_path, codec):
    path = tmp_path / "a.zarr"
    images = picture("uint16", 2, 50, 70)
    array = make(path, images[0], "yx", [1, 1], **V3[codec])
    header, before = read(path)
    np.testing.assert_array_equal(before, images[0])
    array[...] = images[1]
    # As another child, which has read the header earlier.
    out = np.empty(header.shape, header.dtype)
    formats.read_pixels(path, header, out)
    np.testing.assert_array_equal(out, images[1])


def test_metadata_that_are_written_again_in_place_are_read_again(tmp_path):
    path, image = tmp_path / "a.zarr", picture("uint16", 50, 70)
    make(path, image, "yx", [1, 1], fill_value=3)
    header, _ = read(path)
    shutil.rmtree(path / "0" / "c")
    metadata = path / "0" / "zarr.json"
    metadata.write_text(metadata.read_text().replace('"fill_value": 3', '"fill_value": 12'))
    out = np.empty(header.shape, header.dtype)
    formats.read_pixels(path, header, out)
    assert np.all(out == 12)


def test_channels_without_names_are_read(tmp_path):
    path, image = tmp_path / "a.zarr", picture("uint8", 2, 16, 16)
    for omero in (None, {"channels": None}, {"channels": [{"label": None}, {"label": "GFP"}]}):
        make(path, image, "cyx", [1, 1, 1], more={"omero": omero})
        stack = formats.read_header(path, "a.zarr", 10_000).stack
        assert stack.channels == (("", "GFP") if omero and omero["channels"] else ())
