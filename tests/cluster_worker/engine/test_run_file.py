"""Files larger than memory (here simulated), read and written by windows on two ranks."""

import contextlib
import json
import os
import shutil
import signal
import threading
from collections import namedtuple
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from cluster_worker import Engine, Rejected
from cluster_worker.engine.file_results import choose_format
from cluster_worker.engine.file_to_file import RunOptions, open_file
from cluster_worker.errors import Broken
from cluster_worker.imagefiles.streams import FileAccess, RawFile, reserve
from cluster_worker.operations import catalogue
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.tiling import Span
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from config.contract import recipe

PHOTOGRAPH = np.tile(data.astronaut(), (2, 2, 1))[:777, :901]


@pytest.fixture(scope="module")
def engine():
    # Of its own, because a test kills what decoders are born from.
    with Engine(ranks=2) as engine:
        yield engine


@pytest.fixture
def small_memory(monkeypatch):
    """Set the memory limit to 0, so that every file that can be streamed is streamed."""
    monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", 0)


def written(path, image, **options):
    photometric = "rgb" if image.ndim == 3 else "minisblack"
    options = {"photometric": photometric, "tile": (128, 128), "compression": "zlib"} | options
    if image.shape[2:] == (4,):
        options["extrasamples"] = ["unassalpha"]
    tifffile.imwrite(path, image, **options)
    return path


CHAINS = {
    "local": [{"operation": "gaussian", "sigma": 2}, {"operation": "median"}],
    "statistical": [{"operation": "gaussian"}, {"operation": "threshold_otsu"}],
    "sharpening": [{"operation": "unsharp_mask"}, {"operation": "invert"}],
    "edges": [{"operation": "gaussian"}, {"operation": "sobel"}],
    "half the size": [{"operation": "resize", "rows": 311, "columns": 402}],
    "labels": [{"operation": "threshold_otsu"}, {"operation": "label"}],
    "equalized": [{"operation": "equalize_hist"}, {"operation": "rgb2gray"}],
}
IMAGES = {
    "colour": PHOTOGRAPH,
    "gray": PHOTOGRAPH[..., 1],
    "16 bit": PHOTOGRAPH[..., 1].astype(np.uint16) * 200,
    "float": (PHOTOGRAPH[..., 0] / 255).astype(np.float32),
    "transparent": np.dstack([PHOTOGRAPH, PHOTOGRAPH[..., 0]]),
}


def test_files_one_after_the_other_are_decoded_by_one_warm_child(engine, tmp_path):
    source = written(tmp_path / "in.tif", PHOTOGRAPH)
    pids = set()
    for _ in range(2):
        engine.run_file(source, tmp_path / "out.tif", CHAINS["local"])
        with engine.decoders.checkout() as decoder:
            pids.add(decoder.child.pid)
    assert len(pids) == 1


@pytest.mark.slow
@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("chain", CHAINS)
def test_a_streamed_file_has_the_pixels_of_an_array(engine, small_memory, tmp_path, chain, image):
    source, target = written(tmp_path / "in.tif", IMAGES[image]), tmp_path / "out.tif"
    engine.run_file(source, target, CHAINS[chain])
    expected = engine.run(IMAGES[image], CHAINS[chain])
    found = tifffile.imread(target)
    if expected.dtype == bool:
        found = found > 0
    np.testing.assert_array_equal(found, expected)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.tif", "out.tif"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{"tile": None, "rowsperstrip": 40}, {"bigtiff": True}, {"byteorder": ">"}],
    ids=["strips", "BigTIFF", "big-endian"],
)
def test_any_layout_that_has_pieces_is_streamed(engine, small_memory, tmp_path, options):
    source = written(tmp_path / "in.tif", IMAGES["16 bit"], **options)
    steps = CHAINS["local"]
    with open_file(engine, source, tmp_path / "out.tif", steps) as file:
        assert file.is_streamed
    engine.run_file(source, tmp_path / "out.tif", steps)
    found = tifffile.imread(tmp_path / "out.tif")
    np.testing.assert_array_equal(found, engine.run(IMAGES["16 bit"], steps))


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["tif", "png"])
def test_a_small_result_of_a_streamed_file_is_held_in_any_format(
    engine, monkeypatch, tmp_path, ending
):
    monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", 400_000)
    source, target = written(tmp_path / "in.tif", IMAGES["gray"]), tmp_path / f"out.{ending}"
    steps = [{"operation": "equalize_hist"}, {"operation": "resize", "rows": 97, "columns": 112}]
    with open_file(engine, source, target, steps) as file:
        assert file.is_streamed
        assert file.spool is None
    engine.run_file(source, target, steps)
    found = np.asarray(Image.open(target))
    np.testing.assert_array_equal(found, engine.run(IMAGES["gray"], steps))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.tif", target.name]


def test_a_thumbnail_of_a_gigapixel_is_made_from_windows_that_fit_into_memory():
    steps = json.dumps(
        recipe.check([{"operation": "resize", "rows": 500, "columns": 500}], catalogue(), 1)
    )
    planned = plan(PlanRequest(header_of((32_768, 32_768), "uint8"), steps))
    assert planned.rank_bytes(2) < 256 << 20


@pytest.mark.slow
def test_a_damaged_tile_is_one_sentence_and_no_rank_dies(engine, small_memory, tmp_path):
    source = written(tmp_path / "in.tif", PHOTOGRAPH)
    with tifffile.TiffFile(source) as file:
        offset, count = file.pages[0].dataoffsets[20], file.pages[0].databytecounts[20]
    damaged = bytearray(source.read_bytes())
    damaged[offset : offset + count] = b"\xff" * count
    source.write_bytes(damaged)
    before = engine.pids()
    with pytest.raises(Rejected, match=r"^in\.tif: the file is damaged"):
        engine.run_file(source, tmp_path / "out.tif", CHAINS["local"])
    assert engine.pids() == before
    assert [each.name for each in tmp_path.iterdir()] == ["in.tif"]


@pytest.mark.slow
def test_a_streamed_job_survives_the_death_of_a_rank(engine, small_memory, tmp_path):
    source, target = written(tmp_path / "in.tif", PHOTOGRAPH), tmp_path / "out.tif"
    before = engine.pids()

    def kill_once(done, total):
        if engine.pids() == before:
            with contextlib.suppress(ProcessLookupError):
                os.kill(before["rank 0"], signal.SIGKILL)

    # Slow, since no kernel serves it: the job must still run when the engine notices the death.
    slow = [{"operation": "median", "footprint": "disk", "radius": 4}]
    engine.run_file(source, target, slow, kill_once)
    assert engine.pids()["rank 1"] != before["rank 1"]
    expected = engine.run(PHOTOGRAPH, slow)
    np.testing.assert_array_equal(tifffile.imread(target), expected)


@pytest.mark.slow
def test_thirty_decoders_that_are_killed_cost_no_image(engine, small_memory, tmp_path):
    source, target = written(tmp_path / "in.tif", PHOTOGRAPH), tmp_path / "out.tif"
    steps = [{"operation": "invert"}]
    killed, done = set(), threading.Event()

    def kill():
        while len(killed) < 30 and not done.wait(0.1):
            with contextlib.suppress(AttributeError, OSError):
                forkserver = engine.decoder_source.process.pid
                decoders = Path(f"/proc/{forkserver}/task/{forkserver}/children").read_text()
                for each in sorted({*map(int, decoders.split())} - killed)[:1]:
                    os.kill(each, signal.SIGKILL)
                    killed.add(each)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        while killer.is_alive():
            engine.run_file(source, target, steps)
            np.testing.assert_array_equal(tifffile.imread(target), 255 - PHOTOGRAPH)
    finally:
        done.set()
        killer.join()
    assert len(killed) == 30


@pytest.mark.slow
def test_a_rank_that_cannot_open_its_files_leaves_no_other_waiting(engine, small_memory, tmp_path):
    source, target = written(tmp_path / "in.tif", PHOTOGRAPH), tmp_path / "out.tif"
    with open_file(engine, source, target, CHAINS["local"]) as file:
        assert file.job.task.wide
        file.spool.tiles_of(engine.pids()["rank 1"]).mkdir()
        file.job.start()
        with pytest.raises(Broken, match="IsADirectoryError"):
            file.job.wait(60)
    engine.run_file(source, target, CHAINS["local"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "depth", "target", "sentence"),
    [
        (CHAINS["local"], "input", "out.jpg", "pixels of 16 bits, which JPEG cannot hold"),
        (CHAINS["labels"], "input", "out.jpg", "labels, which JPEG cannot hold"),
        (CHAINS["labels"], "native", "out.png", "labels, which PNG cannot hold"),
        ([{"operation": "gaussian"}], "native", "out.png", "64-bit floats, which PNG cannot hold"),
    ],
)
def test_a_result_that_its_format_does_not_hold_is_refused_before_it_is_made(
    engine, tmp_path, steps, depth, target, sentence
):
    source = written(tmp_path / "in.tif", IMAGES["16 bit"])
    refused = pytest.raises(Rejected, match=rf"^in\.tif: the result has .*{sentence}")
    with refused, open_file(engine, source, tmp_path / target, steps, RunOptions(depth=depth)):
        pass


@pytest.mark.parametrize(
    ("operation", "asked", "source", "written", "notes"),
    [
        ("gaussian", "same", "jpeg", "jpeg", ""),
        (
            "threshold_otsu",
            "same",
            "jpeg",
            "png",
            "written as PNG: JPEG cannot hold a mask exactly",
        ),
        ("threshold_otsu", "same", "png", "png", ""),
        (
            "threshold_otsu",
            "jpeg",
            "png",
            "jpeg",
            "written as JPEG, which blurs a mask; choose PNG",
        ),
        ("threshold_multiotsu", "same", "jpeg", "png", "written as PNG: JPEG cannot hold labels"),
        ("threshold_multiotsu", "same", "webp", "tiff", "written as TIFF: WebP cannot hold labels"),
        ("threshold_multiotsu", "same", "png", "png", ""),
    ],
)
def test_a_mask_is_written_in_a_format_that_keeps_it(operation, asked, source, written, notes):
    steps = recipe.check([{"operation": operation}], catalogue(), 1)
    planned = plan(PlanRequest(header_of((20, 30), "uint8"), json.dumps(steps)))
    found, said = choose_format(asked, source, planned)
    assert found == written
    assert " ".join(said).startswith(notes)


@pytest.mark.parametrize(("source", "written"), [("png", "tiff"), ("tiff", "tiff")])
def test_native_floats_are_written_as_tiff(source, written):
    steps = recipe.check([{"operation": "gaussian"}], catalogue(), 1)
    planned = plan(PlanRequest(header_of((20, 30), "uint8"), json.dumps(steps), "native"))
    assert choose_format("same", source, planned)[0] == written


@pytest.mark.slow
@pytest.mark.parametrize(("total", "family"), [(1 << 30, Broken), (1 << 11, Rejected)])
def test_a_disk_without_room_is_ours_and_one_that_is_too_small_a_refusal_with_the_numbers(
    engine, small_memory, tmp_path, monkeypatch, total, family
):
    source = written(tmp_path / "in.tif", PHOTOGRAPH)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(total, total, 1 << 10))
    with pytest.raises(family, match=r"^in\.tif: needs up to 0\.0 GiB of disk in .* 0\.0 of \d"):
        engine.run_file(source, tmp_path / "out.tif", CHAINS["statistical"])


@pytest.mark.slow
def test_a_target_on_a_full_disk_is_not_the_fault_of_the_image(engine, tmp_path):
    source, target = written(tmp_path / "in.tif", PHOTOGRAPH), tmp_path / "out.tif"
    partial = tmp_path / ".out.tif.part"
    partial.symlink_to("/dev/full")
    with pytest.raises(Broken, match=r"out\.tif: cannot be written: No space left on device"):
        engine.run_file(source, target, [{"operation": "invert"}])
    assert not target.exists()


@pytest.mark.slow
def test_what_needs_the_whole_image_is_not_streamed_but_held_or_refused(small_memory, tmp_path):
    whole = [{"operation": "slic"}]
    with Engine(ranks=1, job_memory_bytes_max=64 << 20) as engine:
        source = written(tmp_path / "in.tif", PHOTOGRAPH[..., 0])
        with open_file(engine, source, tmp_path / "out.tif", whole) as file:
            assert not file.is_streamed
        large = written(tmp_path / "large.tif", np.zeros((6000, 6000), np.uint8))
        with pytest.raises(Rejected, match=r"needs about \d+ MiB in a rank .* at most 64 MiB"):
            engine.run_file(large, tmp_path / "out.tif", whole)


@given(
    top=st.integers(0, 39),
    left=st.integers(0, 29),
    height=st.integers(1, 40),
    width=st.integers(1, 30),
    channels=st.sampled_from([(), (3,)]),
)
def test_bare_pixels_are_read_and_written_by_spans(
    tmp_path_factory, top, left, height, width, channels
):
    path = tmp_path_factory.mktemp("raw") / "pixels"
    image = np.random.default_rng(0).random((40, 30, *channels)).astype(np.float32)
    reserve(path, image.nbytes)
    span = Span(top, min(top + height, 40), left, min(left + width, 30))
    with ExitStack() as stack:
        raw = FileAccess(path.parent, 0).surface(RawFile(str(path), image.shape, "float32"), stack)
        raw.write(Span(0, 40, 0, 30), image)
        raw.write(span, 2 * image[span.slices])
        image[span.slices] *= 2
        np.testing.assert_array_equal(raw.read(Span(0, 40, 0, 30)), image)
        np.testing.assert_array_equal(raw.read(span), image[span.slices])
    shutil.rmtree(path.parent)
