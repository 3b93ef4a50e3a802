"""Images in an object store: chunks between passes, and windows of files."""

from contextlib import ExitStack

import numpy as np
import pytest
import tifffile
from skimage import data

from cluster_worker import Broken, Engine, Rejected
from cluster_worker.engine.steps import checked_steps
from cluster_worker.engine.tables import read_columns, write_columns
from cluster_worker.imagefiles.decoder_source import DecoderSource
from cluster_worker.imagefiles.streams import Spool
from cluster_worker.objects.access import PixelAccess
from cluster_worker.objects.chunks import CHUNK, Chunks, ChunkSurface
from cluster_worker.objects.images import ObjectFile
from cluster_worker.objects.spools import ObjectSpool
from cluster_worker.objects.store import is_address, open_store, read_object
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.surfaces import Array
from cluster_worker.pixels.tiling import Span
from cluster_worker.plan.chain import plan
from cluster_worker.plan.group import SingleRank
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run, run_alone

PHOTOGRAPH = np.tile(data.astronaut(), (2, 3, 1))[:777, :1201]
GRAY = PHOTOGRAPH[..., 1]


@pytest.fixture(scope="module")
def access(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rank")
    with DecoderSource(folder) as source:
        opened = PixelAccess(folder, 1)
        yield opened
        opened.close()
        source.close()


@pytest.mark.parametrize(
    "image",
    [GRAY, PHOTOGRAPH, GRAY > 99, GRAY.astype(np.float32) / 7, GRAY[:, :1], PHOTOGRAPH[:1]],
    ids=["gray", "colour", "mask", "float", "column", "row"],
)
def test_chunks_hold_what_was_written(address, image):
    chunks = Chunks(address, "pass", image.shape, image.dtype.name)
    chunks.fill(image)
    copied = np.empty_like(image)
    chunks.copy_to(copied)
    np.testing.assert_array_equal(copied, image)
    span = Span(0, min(700, len(image)), image.shape[1] // 3, image.shape[1])
    with ChunkSurface(chunks) as surface:
        np.testing.assert_array_equal(surface.read(span), image[span.slices])


def test_a_block_may_have_more_chunks_than_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("cluster_worker.objects.chunks.KEPT_BYTES_MAX", 2 * CHUNK * CHUNK)
    chunks = Chunks(f"file://{tmp_path}", "pass", GRAY.shape, "uint8")
    chunks.fill(GRAY)
    with ChunkSurface(chunks) as surface:
        # The last chunks of the first block are kept, and those of the second come before them.
        for span in (Span(512, 777, 0, 1201), Span(0, 777, 0, 1201)):
            np.testing.assert_array_equal(surface.read(span), GRAY[span.slices])


def test_chunks_that_a_block_holds_as_wholes_are_not_kept(tmp_path):
    chunks = Chunks(f"file://{tmp_path}", "pass", GRAY.shape, "uint8")
    chunks.fill(GRAY)
    with ChunkSurface(chunks) as surface:
        for span, kept in ((Span(0, 777, 512, 1201), 0), (Span(500, 777, 512, 1201), 4)):
            np.testing.assert_array_equal(surface.read(span), GRAY[span.slices])
            assert len(surface.kept) == kept
        surface.release_cache()
        assert (len(surface.kept), surface.kept_bytes) == (0, 0)


def test_a_block_that_cuts_a_chunk_is_refused(tmp_path):
    chunks = Chunks(f"file://{tmp_path}", "pass", GRAY.shape, "uint8")
    with ChunkSurface(chunks) as surface, pytest.raises(ValueError, match="multiples of 512"):
        surface.write(Span(0, 100, 0, CHUNK), GRAY[:100, :CHUNK])


def test_a_rank_reads_what_was_written_since_it_last_wrote(tmp_path):
    """As rounds do: a chunk that was kept is another one two rounds later."""
    chunks = Chunks(f"file://{tmp_path}", "pass", (CHUNK, 2 * CHUNK), "uint8")
    mine, others = Span(0, CHUNK, 0, CHUNK), Span(0, CHUNK, CHUNK, 2 * CHUNK)
    with ChunkSurface(chunks) as one, ChunkSurface(chunks) as other:
        for level in (1, 2):
            one.write(mine, np.full((CHUNK, CHUNK), level, np.uint8))
            other.write(others, np.full((CHUNK, CHUNK), 10 * level, np.uint8))
            assert one.read(Span(0, 1, 0, 2 * CHUNK)).max() == 10 * level


def test_a_chunk_that_is_gone_breaks_the_run(address):
    chunks = Chunks(address, "lost", GRAY.shape, "uint8")
    with ChunkSurface(chunks) as surface, pytest.raises(Broken, match="lost/0-0: no such object"):
        surface.read(Span(0, 9, 0, 9))


CHAINS = {
    "local": [{"operation": "gaussian", "sigma": 3}, {"operation": "median"}],
    "statistical": [{"operation": "gaussian"}, {"operation": "threshold_otsu"}],
    "labels": [{"operation": "threshold_otsu"}, {"operation": "label"}, {"operation": "label2rgb"}],
    "rounds": [{"operation": "denoise_tv_chambolle", "max_num_iter": 5}, {"operation": "sobel"}],
    "cells": [{"operation": "equalize_adapthist"}, {"operation": "invert"}],
    "turned": [{"operation": "rotate", "angle": 20}, {"operation": "gaussian"}],
}


@pytest.mark.parametrize("name", CHAINS)
def test_passes_over_chunks_equal_one_tile(tmp_path, name):
    asked = PlanRequest(header_of(GRAY.shape, "uint8"), checked_steps(CHAINS[name]), kernels=False)
    planned = plan(asked._replace(chunk=CHUNK, core=(CHUNK, CHUNK)))
    shapes = [(each.shape, each.dtype) for each in planned.buffers]
    shapes.append((planned.result_shape, planned.result_dtype))
    chunks = [Chunks(f"file://{tmp_path}", str(i), *each) for i, each in enumerate(shapes)]
    with ExitStack() as stack:
        *scratch, result = [stack.enter_context(ChunkSurface(each)) for each in chunks]
        run(planned, Array(GRAY), scratch, result, SingleRank(), lambda tiles: None)
    found = np.empty(planned.result_shape, planned.result_dtype)
    chunks[-1].copy_to(found)
    np.testing.assert_array_equal(found, run_alone(plan(asked), GRAY))


LAYOUTS = {
    "tiles": {"tile": (128, 128), "compression": "zlib"},
    "strips": {"rowsperstrip": 64, "compression": "zlib"},
    "rows": {},
    "planes": {"tile": (128, 128), "compression": "zstd", "planarconfig": "separate"},
    "big": {"tile": (256, 256), "bigtiff": True, "byteorder": ">"},
}


def written(folder, image, layout):
    options = dict(LAYOUTS[layout])
    big = {name: options.pop(name) for name in ("bigtiff", "byteorder") if name in options}
    path = folder / "in.tif"
    with tifffile.TiffWriter(path, **big) as writer:
        given = np.moveaxis(image, -1, 0) if "planarconfig" in options else image
        writer.write(given, photometric="rgb" if image.ndim == 3 else "minisblack", **options)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_window_of_a_file_in_a_store_equals_the_file(address, tmp_path, access, layout):
    path = written(tmp_path, PHOTOGRAPH, layout)
    open_store(address).write_file("in.tif", path)
    with ExitStack() as stack:
        file = stack.enter_context(ObjectFile(f"{address}/in.tif", tmp_path))
        header = access.decoder.read_header(file.copy.path, "in.tif")
        assert header.block is not None
        source = access.source(file.image(header), stack)
        for span in (Span(0, 777, 0, 1201), Span(200, 300, 900, 1000), Span(776, 777, 0, 1)):
            np.testing.assert_array_equal(source.read(span), PHOTOGRAPH[span.slices])
        source.release_cache()
        np.testing.assert_array_equal(source.read(Span(3, 9, 0, 9)), PHOTOGRAPH[3:9, :9])


def test_a_window_costs_the_bytes_of_its_tiles(tmp_path, access):
    noise = np.random.default_rng(1).integers(0, 256, (2048, 2048), np.uint8)
    path = written(tmp_path, noise, "tiles")
    with ExitStack() as stack:
        file = stack.enter_context(ObjectFile(f"file://{path}", tmp_path))
        header = access.decoder.read_header(file.copy.path, "in.tif")
        source = access.source(file.image(header), stack)
        before = source.copy.fetched_bytes
        source.read(Span(1024, 1280, 512, 768))
        assert before < 200_000
        assert 4 * 128 * 128 < source.copy.fetched_bytes - before < 6 * 128 * 128


def test_a_changed_object_is_refused(address, tmp_path, access):
    path = written(tmp_path, np.tile(PHOTOGRAPH, (2, 2, 1)), "tiles")
    open_store(address).write_file("in.tif", path)
    with ExitStack() as stack:
        file = stack.enter_context(ObjectFile(f"{address}/in.tif", tmp_path))
        header = access.decoder.read_header(file.copy.path, "in.tif")
        source = access.source(file.image(header), stack)
        open_store(address).write("in.tif", path.read_bytes() + b"\0")
        with pytest.raises(Rejected, match=r"in\.tif: was changed after this run had begun"):
            source.read(Span(0, 1554, 0, 1201))


def test_what_is_not_there_or_no_address_is_refused(address, tmp_path):
    with pytest.raises(Rejected, match=r"nothing\.tif: no such object"):
        ObjectFile(f"{address}/nothing.tif", tmp_path)
    with pytest.raises(Rejected, match="no such folder on this host"):
        ObjectFile(f"file://{tmp_path}/missing/in.tif", tmp_path)
    with pytest.raises(Rejected, match="must be s3://bucket/prefix"):
        open_store("http://example.org/images")
    assert not is_address("in.tif")
    assert not list(tmp_path.glob(".dip-object-*"))


def test_deleting_a_prefix_leaves_the_others(address):
    store = open_store(address)
    for key in ("job/1/a", "job/1/b", "job/2/a"):
        store.write(key, b"pixels")
    store.delete("job/1")
    assert store.keys("job") == ["job/2/a"]
    assert read_object(f"{address}/job/2/a") == b"pixels"


def test_a_table_is_written_as_an_object(address, tmp_path):
    write_columns(f"{address}/table", {"label": np.arange(3)})
    (tmp_path / "fetched").write_bytes(read_object(f"{address}/table"))
    np.testing.assert_array_equal(read_columns(tmp_path / "fetched")["label"], [0, 1, 2])


def test_tiles_of_a_result_make_the_file_of_one_host(address, tmp_path, access):
    remote = ObjectSpool(address, "tiles", PHOTOGRAPH.shape, "uint8", "tiff", "out.tif", "")
    for top, bottom in ((512, 777), (0, 512)):
        with ExitStack() as stack:
            sink = access.sink(remote, stack)
            sink.write(Span(top, bottom, 0, 1201), PHOTOGRAPH[top:bottom])
    local = Spool(str(tmp_path / "spool"), *remote[2:])
    (tmp_path / "spool").mkdir()
    remote.fetch(local)
    assert len(local.pieces()) == 4 * 5


@pytest.fixture(scope="module")
def engine(s3, warm_engine):
    with Engine(ranks=2, beside=warm_engine) as engine:
        yield engine


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["tiles", "rows"])
def test_a_run_reads_a_file_from_s3(engine, s3, tmp_path, monkeypatch, layout):
    monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", 0)
    path = written(tmp_path, PHOTOGRAPH, layout)
    open_store(s3).write_file(f"{layout}.tif", path)
    steps = [{"operation": "gaussian", "sigma": 2}, {"operation": "threshold_otsu"}]
    engine.run_file(f"{s3}/{layout}.tif", tmp_path / "remote.tif", steps)
    engine.run_file(path, tmp_path / "local.tif", steps)
    assert (tmp_path / "remote.tif").read_bytes() == (tmp_path / "local.tif").read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.tif", "local.tif", "remote.tif"]


@pytest.mark.slow
def test_a_file_without_windows_is_fetched_whole(engine, s3, tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", GRAY)
    open_store(s3).write("in.jpg", (tmp_path / "in.tif").read_bytes())
    engine.run_file(f"{s3}/in.jpg", tmp_path / "out.png", [{"operation": "invert"}])
    assert tifffile.imread(tmp_path / "in.tif").shape == GRAY.shape
    assert (tmp_path / "out.png").stat().st_size > 0
