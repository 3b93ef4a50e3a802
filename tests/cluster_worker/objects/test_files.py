"""Files that come from an object store, and results that are sent to it."""

import signal
from pathlib import Path

import boto3
import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

from cluster_worker import Broken, Engine, Rejected
from cluster_worker.cli import main
from cluster_worker.objects import store as store_module
from cluster_worker.objects.files import sent
from cluster_worker.objects.store import BLOCK_BYTES, PART_BYTES, Store, open_store, read_object

GRAY = data.camera()[:300, :400]
CELLS = [
    {"operation": "gaussian", "sigma": 2, "id": "smooth", "keep": True},
    {"operation": "threshold_otsu"},
    {"operation": "label"},
    {"operation": "regionprops_table", "id": "cells", "properties": ["label", "area"]},
]


@pytest.fixture(scope="module")
def engine(s3, warm_engine):
    with Engine(ranks=1, beside=warm_engine) as engine:
        yield engine


pytestmark = pytest.mark.usefixtures("own_signals")


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Return the folder where files lie until they are sent."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, GRAY, tile=(128, 128))
    return path


def unfinished():
    client = boto3.client("s3", region_name="eu-central-1")
    return client.list_multipart_uploads(Bucket="images").get("Uploads", [])


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True], ids=["in memory", "by windows"])
def test_a_result_is_sent_with_all_that_lies_beside_it(
    engine, address, scratch, source, tmp_path, monkeypatch, streamed
):
    if streamed:
        monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", 0)
    engine.run_file(source, f"{address}/out.tif", CELLS)
    engine.run_file(source, tmp_path / "local.tif", CELLS)
    for ending in (".tif", "_smooth.tif", "_cells.csv"):
        there = read_object(f"{address}/out{ending}")
        assert there == (tmp_path / f"local{ending}").read_bytes()
    assert not list(scratch.iterdir())


@pytest.mark.slow
def test_the_shell_sends_a_result_in_the_format_of_its_ending(dip, s3, scratch, source):
    words = ["run", str(source), f"{s3}/shell.png", "threshold_otsu", "--ranks", "1"]
    assert dip(*words, "--plan").returncode == 0
    assert not open_store(s3).keys("shell.png")
    assert dip(*words).returncode == 0
    (scratch / "shell.png").write_bytes(read_object(f"{s3}/shell.png"))
    with Image.open(scratch / "shell.png") as found:
        assert (found.format, found.size) == ("PNG", (400, 300))
    assert [each.name for each in scratch.iterdir()] == ["shell.png"]


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True], ids=["in memory", "by windows"])
def test_another_image_comes_from_a_store(
    engine, address, scratch, source, tmp_path, monkeypatch, streamed
):
    if streamed:
        monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", 0)
    steps = [{"operation": "subtract", "other": "input:dark"}]
    dark = tmp_path / "dark.tif"
    tifffile.imwrite(dark, GRAY // 3, tile=(128, 128))
    open_store(address).write_file("dark.tif", dark)
    inputs = {"dark": f"{address}/dark.tif"}
    engine.run_file(source, f"{address}/even.tif", steps, inputs=inputs)
    engine.run_file(source, tmp_path / "local.tif", steps, inputs={"dark": dark})
    assert read_object(f"{address}/even.tif") == (tmp_path / "local.tif").read_bytes()
    assert not list(scratch.iterdir())


@pytest.mark.slow
def test_the_shell_takes_another_image_from_a_store(dip, s3, scratch, source, tmp_path):
    open_store(s3).write_file("flat.tif", source)
    words = ["run", str(source), str(tmp_path / "out.tif"), "subtract", "other=input:flat"]
    assert dip(*words, "--input", f"flat={s3}/flat.tif", "--ranks", "1").returncode == 0
    assert not tifffile.imread(tmp_path / "out.tif").any()


@pytest.mark.slow
def test_what_is_wrong_with_another_image_is_said_by_its_own_name(engine, s3, source, tmp_path):
    steps = [{"operation": "subtract", "other": "input:dark"}]
    open_store(s3).write("dark.tif", b"no image, but some text")
    for name, sentence in (
        ("dark.tif", r"^dark\.tif: "),
        ("none.tif", "none.tif: no such object$"),
    ):
        with pytest.raises(Rejected, match=sentence):
            engine.run_file(source, tmp_path / "out.tif", steps, inputs={"dark": f"{s3}/{name}"})
    assert [each.name for each in tmp_path.iterdir()] == ["in.tif"]


@pytest.mark.slow
def test_what_a_file_in_a_store_is_costs_its_directories_only(
    s3, scratch, tmp_path, monkeypatch, capsys
):
    stack = np.random.default_rng(1).integers(0, 256, (5, 1000, 1000), np.uint8)
    tifffile.imwrite(tmp_path / "in.ome.tif", stack, metadata={"axes": "ZYX"}, tile=(256, 256))
    open_store(s3).write_file("in.ome.tif", tmp_path / "in.ome.tif")
    fetched = []

    def counted(store, key, start, stop, etag, read=Store.read_range):
        fetched.append(stop - start)
        return read(store, key, start, stop, etag)

    monkeypatch.setattr(Store, "read_range", counted)
    assert main(["info", f"{s3}/in.ome.tif"]) == 0
    there = capsys.readouterr().out
    assert main(["info", str(tmp_path / "in.ome.tif")]) == 0
    assert there == capsys.readouterr().out
    assert "5 along z (slices)" in there
    assert 0 < sum(fetched) < 500_000
    assert not list(scratch.iterdir())
    assert main(["info", f"{s3}/none.tif"]) == 2
    assert capsys.readouterr().err == f"dip: {s3}/none.tif: no such object\n"


def write_random(path, size):
    path.write_bytes(np.random.default_rng(1).bytes(size))


@pytest.mark.parametrize("size", [0, 5, PART_BYTES, 2 * PART_BYTES + 7])
def test_a_file_of_any_size_is_sent_whole(address, tmp_path, size):
    write_random(tmp_path / "file", size)
    open_store(address).write_file("sent", tmp_path / "file")
    assert read_object(f"{address}/sent") == (tmp_path / "file").read_bytes()


def test_a_large_file_has_no_more_parts_than_s3_takes(s3, tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "PARTS_MAX", 2)
    write_random(tmp_path / "file", 3 * PART_BYTES)
    open_store(s3).write_file("parts", tmp_path / "file")
    assert open_store(s3).head("parts").etag.endswith('-2"')


@pytest.mark.parametrize("stop", ["error", "Ctrl-C"])
def test_an_upload_that_ends_early_leaves_nothing(address, tmp_path, monkeypatch, stop):
    def end_early(path):
        for _ in range(2 * PART_BYTES // BLOCK_BYTES):
            yield bytes(BLOCK_BYTES)
        if stop == "error":
            raise OSError(5, "Input/output error")
        signal.raise_signal(signal.SIGINT)

    folder = tmp_path / "own"
    folder.mkdir()
    open_store(address).write("out.tif", b"before")
    monkeypatch.setattr(store_module, "blocks_of", end_early)
    with (
        pytest.raises(Broken if stop == "error" else KeyboardInterrupt),
        sent(f"{address}/out.tif", folder) as path,
    ):
        path.write_bytes(b"after")
    assert read_object(f"{address}/out.tif") == b"before"
    assert open_store(address).keys("") == ["out.tif"]
    assert not list(folder.iterdir())
    if address.startswith("s3"):
        assert not unfinished()


def test_nothing_is_sent_of_a_run_that_fails(s3, tmp_path):
    def fail_midway():
        with sent(f"{s3}/failed/out.tif", tmp_path) as path:
            path.write_bytes(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_midway()
    assert not open_store(s3).keys("failed")
    assert not unfinished()


def test_the_image_itself_is_sent_last(s3, tmp_path, monkeypatch):
    names = []
    monkeypatch.setattr(Store, "write_file", lambda _, key, path: names.append(key))
    with sent(f"{s3}/b.tif", tmp_path) as path:
        for name in ("c.csv", "b.tif", "a.tif"):
            path.with_name(name).write_bytes(b"pixels")
    assert names == ["a.tif", "c.csv", "b.tif"]


def test_a_bucket_that_is_not_there_is_refused_before_the_run(s3, tmp_path):
    sentence = r"^s3://nowhere/out\.tif: no such bucket$"
    with pytest.raises(Rejected, match=sentence), sent("s3://nowhere/out.tif", tmp_path):
        raise AssertionError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["s3://out.tif", "s3://images/", "file:///out.tif"])
def test_an_address_that_names_no_object_is_refused(address, tmp_path):
    with pytest.raises(Rejected, match=r"names no object; use s3://bucket/key"), sent(address):
        raise AssertionError


@pytest.mark.slow
def test_a_kept_image_does_not_replace_the_source_in_the_store(engine, address, source, scratch):
    open_store(address).write_file("out_smooth.tif", source)
    sentence = r"out_smooth\.tif: is read, and would be replaced by the result smooth"
    with pytest.raises(Rejected, match=sentence):
        engine.run_file(f"{address}/out_smooth.tif", f"{address}/out.tif", CELLS)
    assert read_object(f"{address}/out_smooth.tif") == source.read_bytes()
    assert not list(scratch.iterdir())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["in.tif", "s3://images/out.xyz", "invert"], "out.xyz: its ending names the format"),
        ([".", "s3://images/results", "invert"], "s3://images/results: must be a folder of this"),
        (
            [".", "results", "invert", "--input", "flat=s3://images/flat.tif"],
            "--input: flat must be a file of this host for a folder",
        ),
        (
            ["in.tif", "s3://images/out.tif", "--preset", "count_cells", "--table", "cells.csv"],
            "--table: the table goes beside s3://images/out.tif",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(source, monkeypatch, capsys, words, sentence):
    monkeypatch.chdir(Path(source).parent)
    assert main(["run", *words]) == 2
    assert f"dip: {sentence}" in capsys.readouterr().err
