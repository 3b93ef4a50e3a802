"""Stacks from file to file: each plane through the chain by itself, as one file of as many."""

import csv
import time

import numpy as np
import pytest
import tifffile
from skimage import data, filters

from cluster_worker import Engine, Rejected
from cluster_worker.engine.file_to_file import file_job
from cluster_worker.errors import Cancelled
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.pixels.stack import Choice

CAMERA = data.camera()[100:170, 200:290]
# 2 times, 3 slices and 2 channels, each plane with values of its own.
STACK = np.stack(
    [np.roll(CAMERA, 7 * k, axis=1).astype(np.uint16) * (20 + k) for k in range(12)]
).reshape(2, 3, 2, *CAMERA.shape)
GAUSSIAN = [{"operation": "gaussian", "sigma": 2.0}]


@pytest.fixture(scope="module")
def engine(warm_engine):
    with Engine(ranks=2, beside=warm_engine) as made:
        yield made


def write_ome(path, image=STACK):
    metadata = {
        "axes": "TZCYX",
        "Channel": {"Name": ["DAPI", "GFP"]},
        "PhysicalSizeX": 0.5,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 0.25,
        "PhysicalSizeYUnit": "µm",
        "PhysicalSizeZ": 2.0,
        "PhysicalSizeZUnit": "µm",
        "TimeIncrement": 0.1,
        "TimeIncrementUnit": "s",
        "Plane": {"DeltaT": [0.1 * k for k in range(12)]},
    }
    tifffile.imwrite(path, image, metadata=metadata, ome=True, photometric="minisblack")


def write_imagej(path, image=STACK):
    metadata = {"axes": "TZCYX", "spacing": 2.0, "unit": "um", "finterval": 0.1}
    tifffile.imwrite(path, image, imagej=True, metadata=metadata, resolution=(2.0, 4.0))


def write_shaped(path, image=STACK):
    tifffile.imwrite(path, image, metadata={"axes": "TZCYX"}, photometric="minisblack")


def write_pages(path, image=STACK):
    with tifffile.TiffWriter(path) as writer:
        for plane in image.reshape(-1, *image.shape[-2:]):
            writer.write(plane, metadata=None, compression="zlib", photometric="minisblack")


KINDS = {"ome": write_ome, "imagej": write_imagej, "shaped": write_shaped, "pages": write_pages}


@pytest.mark.parametrize("kind", KINDS)
def test_each_plane_of_a_stack_goes_through_the_chain_by_itself(engine, tmp_path, kind):
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    KINDS[kind](source)
    notes = engine.run_file(source, target, GAUSSIAN)
    assert notes == ()
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(target) as after:
        assert after.series[0].axes == before.series[0].axes
        assert after.series[0].shape == before.series[0].shape
        assert after.series[0].kind == before.series[0].kind
        found = after.asarray().reshape(12, *CAMERA.shape)
    for plane, each in zip(STACK.reshape(12, *CAMERA.shape), found, strict=True):
        np.testing.assert_array_equal(each, engine.run(plane, GAUSSIAN))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("planes", [1.5, 2.5])
def test_a_stack_does_not_wait_for_memory_that_its_own_planes_take(
    engine, tmp_path, monkeypatch, planes
):
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    write_pages(source)
    monkeypatch.setattr("cluster_worker.engine.run_stack.FIRST_SECONDS", 0.1)
    # A plane takes memory for itself and for its result. More planes would be decoded ahead.
    room = round(planes * 2 * STACK[0, 0, 0].nbytes) + (2 << 12)
    monkeypatch.setattr(engine.segments, "limit", room)
    engine.run_file(source, target, GAUSSIAN)
    assert tifffile.imread(target).shape == (12, *CAMERA.shape)


@pytest.mark.timeout(60)
def test_a_stack_that_waits_for_memory_is_cancelled_at_once(engine, tmp_path, monkeypatch):
    with tifffile.TiffWriter(tmp_path / "in.tif") as writer:
        for rows in (10, 900):
            writer.write(np.zeros((rows, 100), np.uint8), metadata=None)
    monkeypatch.setattr("cluster_worker.engine.run_stack.FIRST_SECONDS", 0.1)
    # The second plane and its result fit, but not beside what another job takes.
    monkeypatch.setattr(engine.segments, "limit", 200_000)
    others = engine.segments.allocate([100_000])
    try:
        with Decoder(1_000_000) as decoder:
            whole = decoder.read_header(tmp_path / "in.tif", "in.tif")
            given = tmp_path / "in.tif", whole, GAUSSIAN, "tiff", tmp_path
            with file_job(engine, decoder, *given) as file:
                file.job.start()
                while not file.job.is_waiting:
                    time.sleep(0.01)
                file.job.cancel()
                with pytest.raises(Cancelled):
                    file.job.wait(5)
    finally:
        engine.segments.release(others)


def test_large_planes_behind_a_small_one_count_as_well(engine, tmp_path):
    with tifffile.TiffWriter(tmp_path / "in.tif") as writer:
        for rows in (1, 90, 90, 90):
            writer.write(np.zeros((rows, 100), np.uint8), metadata=None)
    with Decoder(20_000) as decoder:
        whole = decoder.read_header(tmp_path / "in.tif", "in.tif")
        given = tmp_path / "in.tif", whole, GAUSSIAN, "tiff", tmp_path
        with file_job(engine, decoder, *given) as file:
            file.job.start()
            with pytest.raises(
                Rejected, match=r"plane 4 of 4: the planes up to this one have 0\.0"
            ):
                file.job.wait(60)


def test_statistics_are_those_of_each_plane(engine, tmp_path):
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    write_pages(source)
    engine.run_file(source, target, [{"operation": "threshold_otsu"}])
    for k, found in enumerate(tifffile.imread(target)):
        plane = STACK.reshape(12, *CAMERA.shape)[k]
        np.testing.assert_array_equal(
            found, found.dtype.type(65535) * (plane > filters.threshold_otsu(plane))
        )


def test_ome_xml_keeps_channels_sizes_and_times(engine, tmp_path):
    write_ome(tmp_path / "in.tif")
    engine.run_file(tmp_path / "in.tif", tmp_path / "out.tif", GAUSSIAN)
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        found = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    assert [each["Name"] for each in found["Channel"]] == ["DAPI", "GFP"]
    assert (found["PhysicalSizeX"], found["PhysicalSizeY"], found["PhysicalSizeZ"]) == (
        0.5,
        0.25,
        2,
    )
    assert (found["SizeT"], found["SizeZ"], found["SizeC"]) == (2, 3, 2)
    assert found["TimeIncrement"] == 0.1
    assert [each["DeltaT"] for each in found["Plane"]] == [0.1 * k for k in range(12)]


def test_imagej_metadata_keeps_spacing_unit_and_interval(engine, tmp_path):
    write_imagej(tmp_path / "in.tif")
    half = [{"operation": "resize", "rows": 35, "columns": 45}]
    engine.run_file(tmp_path / "in.tif", tmp_path / "out.tif", half)
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        found = file.imagej_metadata
        assert file.pages.first.resolution == (1.0, 2.0)
    assert (found["spacing"], found["unit"], found["finterval"]) == (2.0, "um", 0.1)
    assert (found["images"], found["frames"], found["slices"], found["channels"]) == (12, 2, 3, 2)


def test_planes_are_chosen_by_axis_or_by_page(engine, tmp_path):
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    write_ome(source)
    engine.run_file(source, target, GAUSSIAN, choice=Choice(z="1,3", channels="2"))
    with tifffile.TiffFile(target) as file:
        found = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
        assert (file.series[0].axes, file.series[0].shape[:2]) == ("TZYX", (2, 2))
        pixels = file.asarray()
    # The slices 1 and 3 are twice as far from each other.
    assert (found["Channel"]["Name"], found["PhysicalSizeZ"]) == ("GFP", 4.0)
    np.testing.assert_array_equal(pixels[1, 1], engine.run(STACK[1, 2, 1], GAUSSIAN))
    engine.run_file(source, target, GAUSSIAN, choice=Choice(page="4"))
    np.testing.assert_array_equal(tifffile.imread(target), engine.run(STACK[0, 1, 1], GAUSSIAN))


def test_a_damaged_plane_names_itself(engine, tmp_path):
    source = tmp_path / "in.tif"
    write_pages(source)
    with tifffile.TiffFile(source) as file:
        offset = file.pages[6].dataoffsets[0]
    content = bytearray(source.read_bytes())
    content[offset : offset + 40] = b"\xff" * 40
    source.write_bytes(content)
    with pytest.raises(Rejected, match=r"^in\.tif: plane 7 of 12: the file is damaged"):
        engine.run_file(source, tmp_path / "out.tif", GAUSSIAN)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.tif"]


def test_pages_of_several_sizes_and_depths_keep_them(engine, tmp_path):
    pages = [CAMERA, CAMERA[:50].astype(np.uint16) * 257, np.dstack([CAMERA[:, :40]] * 3)]
    with tifffile.TiffWriter(tmp_path / "in.tif") as writer:
        for each in pages:
            writer.write(each, metadata=None, photometric="rgb" if each.ndim == 3 else None)
    engine.run_file(tmp_path / "in.tif", tmp_path / "out.tif", GAUSSIAN)
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        for before, after in zip(pages, file.pages, strict=True):
            np.testing.assert_array_equal(after.asarray(), engine.run(before, GAUSSIAN))


def test_tables_of_a_stack_say_the_plane(engine, tmp_path):
    write_ome(tmp_path / "in.tif")
    steps = [{"operation": "image_statistics", "id": "levels"}]
    engine.run_file(tmp_path / "in.tif", tmp_path / "out.tif", steps, choice=Choice(z="2..3"))
    with (tmp_path / "out_levels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(each["plane"]) for each in rows] == [3, 4, 5, 6, 9, 10, 11, 12]
    assert [int(each["z"]) for each in rows] == [2, 2, 3, 3] * 2
    for each in rows:
        plane = STACK[int(each["t"]) - 1, int(each["z"]) - 1, int(each["c"]) - 1]
        assert float(each["mean"]) == pytest.approx(plane.mean())


def test_steps_read_the_plane_of_another_stack(engine, tmp_path):
    write_pages(tmp_path / "in.tif")
    write_pages(tmp_path / "other.tif", STACK[::-1])
    steps = [{"operation": "subtract", "other": "input:other"}]
    inputs = {"other": tmp_path / "other.tif"}
    engine.run_file(tmp_path / "in.tif", tmp_path / "out.tif", steps, inputs=inputs)
    found = tifffile.imread(tmp_path / "out.tif")
    planes = STACK.reshape(found.shape), STACK[::-1].reshape(found.shape)
    for k, (one, other) in enumerate(zip(*planes, strict=True)):
        expected = engine.run(one, steps, inputs={"other": other})
        np.testing.assert_array_equal(found[k], expected)
    write_pages(tmp_path / "other.tif", STACK[:1])
    with pytest.raises(Rejected, match=r"other\.tif: has 6 planes, and the image's file has 12"):
        engine.run_file(tmp_path / "in.tif", tmp_path / "out.tif", steps, inputs=inputs)


@pytest.mark.parametrize("streamed", [False, True])
def test_large_planes_are_cut_over_all_ranks(engine, tmp_path, monkeypatch, streamed):
    if streamed:
        monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", 0)
    planes = np.stack([np.roll(np.tile(data.camera(), (2, 2)), k, axis=0) for k in range(3)])
    with tifffile.TiffWriter(tmp_path / "in.tif") as writer:
        for each in planes:
            writer.write(each, metadata=None, tile=(256, 256), compression="zlib")
    steps = [{"operation": "gaussian", "sigma": 3.0}, {"operation": "threshold_otsu"}]
    engine.run_file(tmp_path / "in.tif", tmp_path / "out.tif", steps)
    for plane, found in zip(planes, tifffile.imread(tmp_path / "out.tif"), strict=True):
        np.testing.assert_array_equal(found, engine.run(plane, steps))


def test_planes_are_the_same_on_three_ranks(engine, tmp_path):
    planes = np.stack([np.roll(np.tile(data.camera(), (2, 2)), 3 * k, axis=0) for k in range(3)])
    tifffile.imwrite(tmp_path / "in.tif", planes, photometric="minisblack")
    steps = [{"operation": "gaussian", "sigma": 3.0}, {"operation": "equalize_hist"}]
    with Engine(ranks=3, warm=False, core=(300, 400)) as cut:
        cut.run_file(tmp_path / "in.tif", tmp_path / "out.tif", steps)
    for plane, found in zip(planes, tifffile.imread(tmp_path / "out.tif"), strict=True):
        np.testing.assert_array_equal(found, engine.run(plane, steps))


def test_a_format_of_one_plane_is_refused_with_the_way_out(engine, tmp_path):
    write_pages(tmp_path / "in.tif")
    with pytest.raises(Rejected, match=r"has 12 planes, and JPEG holds one; choose .*TIFF.*page 1"):
        engine.run_file(tmp_path / "in.tif", tmp_path / "out.jpg", GAUSSIAN)


def test_progress_counts_planes(engine, tmp_path):
    write_pages(tmp_path / "in.tif", STACK[:1])
    seen = []
    progress = lambda done, total: seen.append((done, total))  # noqa: E731
    engine.run_file(tmp_path / "in.tif", tmp_path / "out.tif", GAUSSIAN, progress)
    assert seen == [(k, 6) for k in range(1, 7)]


def test_dip_says_what_a_stack_is_and_runs_a_part_of_it(dip, tmp_path):
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    write_ome(source)
    said = dip("info", source, "--z", "2..3").stdout
    lines = dict(line.split(maxsplit=1) for line in said.splitlines())
    assert (lines["axes"], lines["shape"]) == ("tzcyx", "2 × 2 × 2 × 70 × 90")
    assert lines["planes"] == "8: 2 along t (times), 2 along z (slices), 2 along c (channels)"
    assert lines["channels"] == "DAPI, GFP"
    steps = ["invert", "--z", "2", "--t", "1", "--channels", "2", "--ranks", "1"]
    assert dip("run", source, target, *steps).returncode == 0
    np.testing.assert_array_equal(tifffile.imread(target), 65535 - STACK[0, 1, 1])


def write_bands(path, image):
    tifffile.imwrite(
        path,
        image,
        photometric="minisblack",
        planarconfig="contig",
        extrasamples=["unspecified"] * (image.shape[2] - 1),
        metadata=None,
    )


def test_thirteen_bands_are_filtered_one_by_one(engine, tmp_path):
    bands = np.dstack([STACK[0, 0, 0] + 7 * k for k in range(13)])
    write_bands(tmp_path / "in.tif", bands)
    median = [{"operation": "median", "radius": 2}]
    assert engine.run_file(tmp_path / "in.tif", tmp_path / "out.tif", median) == ()
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.pages.first.extrasamples == (0,) * 12
        found = file.asarray()
    for k in range(13):
        np.testing.assert_array_equal(found[..., k], engine.run(bands[..., k].copy(), median))


def test_steps_for_colours_name_the_option_that_chooses_bands(engine, tmp_path):
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    bands = np.dstack([np.roll(CAMERA, 9 * k, axis=0) for k in range(13)])
    write_bands(source, bands)
    gray = [{"operation": "rgb2gray"}]
    for operation in ("rgb2gray", "canny", "equalize_adapthist"):
        with pytest.raises(Rejected, match=r"got 13 channels .* by channels, as 1\.\.3"):
            engine.run_file(source, target, [{"operation": operation}])
    notes = engine.run_file(source, target, gray, choice=Choice(channels="4,3,2"))
    assert notes == ("channels 4,3,2 were taken as red, green and blue",)
    expected = engine.run(bands[..., [3, 2, 1]].copy(), gray)
    np.testing.assert_array_equal(tifffile.imread(target), expected)


def test_chosen_bands_are_read_by_windows_too(engine, tmp_path, monkeypatch):
    monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", 0)
    bands = np.dstack([np.roll(CAMERA, 9 * k, axis=0) for k in range(6)])
    write_bands(tmp_path / "in.tif", bands)
    target, choice = tmp_path / "out.tif", Choice(channels="2,5,6,1")
    engine.run_file(tmp_path / "in.tif", target, GAUSSIAN, choice=choice)
    expected = engine.run(bands[..., [1, 4, 5, 0]].copy(), GAUSSIAN, alpha=False)
    np.testing.assert_array_equal(tifffile.imread(target), expected)
