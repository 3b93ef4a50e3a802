"""A folder of images goes through a recipe: all of it, side by side, and again after an end."""

import csv
import functools
import json
import os
import signal
import threading
from collections import Counter
from unittest.mock import Mock

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data, filters, measure

from cluster_worker import Engine, Rejected
from cluster_worker.engine.folders import (
    JOURNAL,
    Journal,
    Outcome,
    check_names,
    join_tables,
    list_files,
)
from cluster_worker.engine.run_folder import FolderOptions, FolderRun, Progress, run_folder
from cluster_worker.pixels.shared_memory import Wait

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

INVERT = FolderOptions([{"operation": "invert"}])
# Long enough to be cancelled.
SLOW = FolderOptions([{"operation": "denoise_nl_means", "fast_mode": False, "patch_distance": 20}])
CELLS = FolderOptions(
    [
        {"operation": "threshold_otsu", "id": "mask", "keep": True},
        {"operation": "label"},
        {
            "operation": "regionprops_table",
            "properties": ["label", "area", "intensity_mean"],
            "intensity": "original",
            "id": "cells",
        },
    ],
    format="tiff",
)


@pytest.fixture(scope="module")
def engine(warm_engine):
    with Engine(ranks=2, beside=warm_engine) as made:
        yield made


@pytest.fixture
def scans(tmp_path):
    """Return a folder with images of three formats in two folders, a damaged one and a text."""
    folder = tmp_path / "scans"
    (folder / "day 2").mkdir(parents=True)
    coins = data.coins()
    Image.fromarray(coins).save(folder / "a.png")
    Image.fromarray(coins[::2, ::2]).save(folder / "day 2" / "a.JPG")
    tifffile.imwrite(folder / "day 2" / "b.tif", coins[:, ::2].astype(np.uint16) * 200)
    (folder / "torn.png").write_bytes((folder / "a.png").read_bytes()[:2000])
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


def read(path):
    return tifffile.imread(path) if path.suffix == ".tif" else np.asarray(Image.open(path))


def lines(folder):
    return [json.loads(line) for line in (folder / JOURNAL).read_text().splitlines()]


def test_every_image_of_a_folder_has_its_result_in_the_same_place(engine, scans, tmp_path):
    target = tmp_path / "out"
    report = run_folder(engine, scans, target, INVERT)
    assert sorted(each.image for each in report.written) == ["a.png", "day 2/a.JPG", "day 2/b.tif"]
    for name in ("a.png", "day 2/b.tif"):
        found, given = read(target / name), read(scans / name)
        np.testing.assert_array_equal(found, np.iinfo(given.dtype).max - given)
    [failed] = report.failed
    assert failed.error.startswith("torn.png: the file ends too early; save or upload it again")
    assert not failed.ours
    assert not (target / "torn.png").exists()
    assert not (target / "notes.txt").exists()


def test_a_second_run_makes_only_what_is_missing_or_has_changed(engine, scans, tmp_path):
    target = tmp_path / "out"
    run_folder(engine, scans, target, INVERT)
    with (target / JOURNAL).open("a") as journal:
        journal.write('{"size": 3}\n7\n{"source": "torn by a power c')
    (target / "a.png").unlink()
    Image.fromarray(data.coins()[:90]).save(scans / "day 2" / "a.JPG")
    report = run_folder(engine, scans, target, INVERT)
    assert sorted(each.source for each in report.written) == ["a.png", "day 2/a.JPG"]
    assert report.before == 1
    assert read(target / "day 2" / "a.JPG").shape[0] == 90
    # What was added after the torn line is known to the third run.
    assert run_folder(engine, scans, target, INVERT).before == 3


def test_two_runs_do_not_write_to_one_folder(engine, scans, tmp_path):
    with Journal(tmp_path / "out", {}), pytest.raises(Rejected, match="another run writes its"):
        run_folder(engine, scans, tmp_path / "out", INVERT)


def test_results_of_other_steps_are_neither_kept_nor_mixed(engine, scans, tmp_path):
    target = tmp_path / "out"
    run_folder(engine, scans, target, INVERT)
    other = FolderOptions([{"operation": "gaussian"}])
    sentence = "out: holds results that were made with other steps; choose another folder, or make"
    with pytest.raises(Rejected, match=sentence):
        run_folder(engine, scans, target, other)
    assert len(run_folder(engine, scans, target, other, again=True).written) == 3
    # The default sigma, written out, is the same step.
    same = FolderOptions([{"operation": "gaussian", "sigma": 1.0}])
    assert run_folder(engine, scans, target, same).before == 3


def test_results_are_not_kept_if_another_image_has_changed(engine, scans, tmp_path):
    flat, target = tmp_path / "flat.tif", tmp_path / "out"
    steps = [{"operation": "image_statistics"}, {"operation": "add", "other": "input:flat"}]
    options = FolderOptions(steps, inputs={"flat": flat})
    for level in (1, 2):
        tifffile.imwrite(flat, np.full(data.coins().shape, level, np.uint8))
        if level == 1:
            report = run_folder(engine, str(scans / "*.png"), target, options)
    # A damaged file, and one sentence, which names it.
    assert [each.error.partition(":")[0] for each in report.failed] == ["torn.png"]
    with pytest.raises(Rejected, match="out: holds results that were made with other inputs"):
        run_folder(engine, str(scans / "*.png"), target, options)


def test_an_error_of_the_engine_names_the_file(engine, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    Image.fromarray(data.coins()).save(tmp_path / "in" / "gray.png")
    monkeypatch.setattr(engine, "job_memory_bytes_max", 1)
    [failed] = run_folder(engine, tmp_path / "in", tmp_path / "out", INVERT).failed
    assert failed.error.startswith("gray.png: the image needs about")


def test_tables_of_all_images_are_joined_with_the_name_of_the_image(engine, scans, tmp_path):
    target = tmp_path / "out"
    (scans / "torn.png").unlink()
    report = run_folder(engine, scans, target, CELLS)
    assert report.tables == (target / "cells.csv",)
    with (target / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [*rows[0]] == ["image", "plane", "path", "label", "area", "intensity_mean"]
    coins = data.coins()
    labels = measure.label(coins > filters.threshold_otsu(coins))
    expected = measure.regionprops_table(labels, coins, ["area", "intensity_mean"])
    found = [row for row in rows if row["path"] == "a.png"]
    assert [float(row["area"]) for row in found] == expected["area"].tolist()
    means = [float(row["intensity_mean"]) for row in found]
    np.testing.assert_allclose(means, expected["intensity_mean"], rtol=1e-9)
    told = {(row["image"], row["plane"], row["path"]) for row in rows}
    paths = {"a.png", "day 2/a.JPG", "day 2/b.tif"}
    assert told == {(path.rpartition("/")[2], "1", path) for path in paths}
    assert sorted(each.name for each in (target / "day 2").iterdir()) == sorted(
        f"{stem}{end}" for stem in "ab" for end in (".tif", "_mask.tif", "_cells.csv")
    )


def test_every_plane_of_a_stack_is_run_and_tells_its_number_in_the_joined_table(engine, tmp_path):
    folder, target = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    stack = np.stack([data.coins(), data.coins()[::-1]])
    tifffile.imwrite(folder / "stack.tif", stack, photometric="minisblack")
    tifffile.imwrite(folder / "one.tif", data.coins())
    run_folder(engine, folder, target, CELLS)
    assert tifffile.imread(target / "stack_mask.tif").shape == stack.shape
    with (target / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [*rows[0]][:4] == ["image", "plane", "path", "label"]
    planes = Counter((row["image"], row["plane"]) for row in rows)
    count = planes["one.tif", "1"]
    assert planes == dict.fromkeys([*planes], count)
    assert {*planes} == {("one.tif", "1"), ("stack.tif", "1"), ("stack.tif", "2")}


def test_a_name_that_is_no_utf_8_stands_in_a_joined_table(tmp_path):
    (tmp_path / "cells.csv.1").write_text("label\n7\n")
    name = os.fsdecode(b"caf\xe9.png")
    [path] = join_tables(tmp_path, [Outcome(name, 1, 1, tables={"cells": "cells.csv.1"})])
    assert path.read_bytes().splitlines()[1] == b"caf\xe9.png,1,caf\xe9.png,7"


def test_a_mask_is_not_written_as_jpeg(engine, scans, tmp_path):
    target = tmp_path / "out"
    options = FolderOptions([{"operation": "threshold_otsu"}])
    run_folder(engine, scans / "day 2", target, options)
    assert sorted(each.suffix for each in target.iterdir()) == [".jsonl", ".png", ".tif"]


def test_files_that_differ_by_their_ending_alone_keep_it_in_their_results_names(tmp_path):
    for name in ("a.png", "a.tif", "b.tif"):
        (tmp_path / name).touch()
    stems = [each.stem for each in list_files(tmp_path, tmp_path / "out")]
    assert stems == ["a_png", "a_tif", "b"]
    (tmp_path / "a_png.png").touch()
    with pytest.raises(Rejected, match="a_png: would be the name of 2 results; rename one"):
        check_names(list_files(tmp_path, tmp_path / "out"), [], [])


def test_no_result_takes_the_place_of_another_one(engine, tmp_path):
    folder, target = tmp_path / "scans", tmp_path / "out"
    folder.mkdir()
    # The mask of "cat" would be the file of "cat_mask".
    for name in ("cat.png", "cat_mask.png"):
        Image.fromarray(data.coins()).save(folder / name)
    with pytest.raises(Rejected, match=r"^cat_mask: would be the name of 2 results"):
        run_folder(engine, folder, target, CELLS)
    assert not target.exists()


def test_a_pattern_chooses_files_and_results_are_never_taken_for_sources(scans):
    found = list_files(str(scans / "**/*.tif"), scans / "out")
    assert [each.name for each in found] == ["day 2/b.tif"]
    (scans / "out").mkdir()
    (scans / "out" / "old.tif").touch()
    assert "out/old.tif" not in [each.name for each in list_files(scans, scans / "out")]
    with pytest.raises(Rejected, match="no file there has the ending of JPEG"):
        list_files(str(scans / "*.webp"), scans / "out")
    with pytest.raises(Rejected, match="scans: must be another folder than that of the images"):
        list_files(scans, scans)


class EndsAtOnce(Progress):
    def __init__(self):
        self.heard = threading.Event()

    def begin(self, files, before):
        # As Ctrl-C: it comes while files are being processed.
        threading.Timer(0.5, os.kill, (os.getpid(), 2)).start()


@pytest.fixture
def heard_ctrl_c():
    """Have Ctrl-C raise KeyboardInterrupt, also where the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard_ctrl_c")
def test_ctrl_c_ends_all_files_at_once_and_leaves_no_part(engine, tmp_path):
    folder, target = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(6):
        Image.fromarray(np.tile(data.camera(), (2, 2))).save(folder / f"{number}.png")
    with pytest.raises(KeyboardInterrupt):
        run_folder(engine, folder, target, SLOW, EndsAtOnce())
    assert [each.name for each in target.iterdir()] == [JOURNAL]
    assert len(lines(target)) == 1
    # The engine serves the next job.
    assert (engine.run(data.coins(), INVERT.steps) == 255 - data.coins()).all()


def test_stacks_of_a_folder_are_done_plane_by_plane(engine, tmp_path):
    (tmp_path / "in").mkdir()
    planes = np.stack([np.roll(data.coins()[:80, :90], 7 * k, axis=1) for k in range(4)])
    tifffile.imwrite(tmp_path / "in" / "a.tif", planes, photometric="minisblack")
    tifffile.imwrite(tmp_path / "in" / "b.tif", planes[0])
    steps = [{"operation": "gaussian", "sigma": 2.0}]
    report = run_folder(engine, tmp_path / "in", tmp_path / "out", FolderOptions(steps))
    assert [each.image for each in report.failed] == []
    found = tifffile.imread(tmp_path / "out" / "a.tif")
    np.testing.assert_array_equal(found, [engine.run(plane, steps) for plane in planes])


@pytest.fixture
def small(engine, tmp_path, monkeypatch):
    """Return a folder of four images, and have memory for one of them; a wait takes a second."""
    folder = tmp_path / "in"
    folder.mkdir()
    image = data.camera()[:160, :160]
    for number in range(4):
        Image.fromarray(image).save(folder / f"{number}.png")
    monkeypatch.setattr(engine.segments, "limit", 3 * image.nbytes)
    monkeypatch.setattr("cluster_worker.engine.file_to_file.Wait", functools.partial(Wait, 1.0))
    return folder


def test_a_file_waits_a_limited_time_for_memory_that_is_not_the_runs(engine, small, tmp_path):
    others = engine.segments.allocate([2 * 160 * 160])
    try:
        report = run_folder(engine, small, tmp_path / "out", INVERT)
    finally:
        engine.segments.release(others)
    assert [each.ours for each in report.failed] == [True] * 4
    assert report.failed[0].error.endswith("shared memory is held by other jobs")


def test_files_wait_while_another_of_the_run_is_at_work(engine, small, tmp_path, monkeypatch):
    monkeypatch.setattr("cluster_worker.engine.file_to_file.Wait", functools.partial(Wait, 0.1))
    run, at_work = FolderRun(engine, tmp_path / "out", INVERT), Mock()
    run.add(at_work)
    others = engine.segments.allocate([2 * 160 * 160])
    # By then each file has waited several times as long as for the memory of other programs.
    threading.Timer(1.0, engine.segments.release, [others]).start()
    outcomes = list(run.run(list_files(small, tmp_path / "out")))
    assert [each.error for each in outcomes] == [""] * 4


def test_files_that_wait_for_memory_end_with_the_run(engine, small, tmp_path, monkeypatch):
    monkeypatch.setattr("cluster_worker.engine.file_to_file.Wait", Wait)
    others = engine.segments.allocate([2 * 160 * 160])
    run = FolderRun(engine, tmp_path / "out", INVERT)
    threading.Timer(0.5, run.end).start()
    try:
        outcomes = run.run(list_files(small, tmp_path / "out"))
        assert next(outcomes).error
        outcomes.close()
    finally:
        engine.segments.release(others)
