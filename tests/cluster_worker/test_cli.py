"""The shell command, as a user runs it."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data, filters

from cluster_worker.cli import parse, run_file
from cluster_worker.cli_words import parse_inputs, parse_steps
from cluster_worker.errors import Rejected
from cluster_worker.operations import OPERATIONS
from tests.app.pictures import assert_blurred
from tests.cluster_worker.operations.nuclei import nuclei

SHARED = Path("/dev/shm")  # noqa: S108 - where engines keep pixels


def started(*words):
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "cluster_worker.cli", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "in.png"
    Image.fromarray(data.astronaut()).save(path)
    return path


@pytest.mark.slow
def test_a_file_is_blurred_on_two_ranks(photograph, tmp_path):
    target = tmp_path / "out.png"
    ran = started("run", photograph, target, "gaussian", "sigma=2", "--ranks", 2)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert_blurred(np.asarray(Image.open(target)), data.astronaut())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.png", "out.png"]


@pytest.mark.slow
def test_natively_a_file_gets_the_values_of_scikit_image(dip, photograph, tmp_path):
    target = tmp_path / "out.tif"
    ran = dip("run", photograph, target, "gaussian", "sigma=2", "--depth", "native")
    assert (ran.returncode, ran.stderr) == (0, "")
    expected = filters.gaussian(data.astronaut(), 2, channel_axis=2)
    np.testing.assert_array_equal(tifffile.imread(target), expected)


@pytest.mark.slow
def test_a_plan_says_what_it_would_take_and_writes_nothing(dip, photograph, tmp_path):
    target = tmp_path / "out.png"
    ran = dip("run", photograph, target, "gaussian", "+", "threshold_otsu", "--plan")
    first, second, memory, seconds = ran.stdout.splitlines()
    assert first.startswith("pass 1: to_float + gaussian + rgb2gray; ")
    assert second.startswith("pass 2: threshold_otsu + to_depth; ")
    assert "MiB in each rank" in memory
    assert re.fullmatch(r"about \d+ ms, files not counted", seconds)
    assert not target.exists()


@pytest.mark.slow
def test_a_recipe_file_holds_the_steps_of_the_api(dip, photograph, tmp_path):
    recipe, target = tmp_path / "recipe.json", tmp_path / "out.tif"
    recipe.write_text(json.dumps([{"operation": "rgb2gray"}, {"operation": "threshold_otsu"}]))
    assert dip("run", photograph, target, "--recipe", recipe, "--ranks", 1).returncode == 0
    assert set(np.unique(np.asarray(Image.open(target)))) == {0, 255}


@pytest.mark.slow
def test_a_preset_gives_a_table_without_an_image(dip, tmp_path):
    picture = nuclei(200)
    tifffile.imwrite(tmp_path / "in.tif", picture)
    table = tmp_path / "cells.csv"
    words = ("run", tmp_path / "in.tif", "--preset", "count_cells", "--table", table)
    ran = dip(*words, "--ranks", 1)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["cells.csv", "in.tif"]
    names, *rows = table.read_text().splitlines()
    assert names.startswith("label,area,centroid-0,centroid-1,")
    assert 40 < len(rows) < 70


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--table", "t.csv", "invert"), "--table: the recipe must give one table, it gives 0"),
        (("invert",), "target: name an image to write, or give --table for a table alone"),
        (("--preset", "spots", "--table", "no/t.csv"), "no/t.csv: cannot be written: no is no"),
        (("o.png", "invert", "--preset", "spots"), "--preset: give either --preset or steps"),
    ],
)
def test_what_gives_no_table_or_no_steps_is_refused(words, sentence):
    with pytest.raises(Rejected, match=f"^{re.escape(sentence)}"):
        run_file(parse(["run", "in.png", *words]))


def test_the_first_word_may_be_a_step_where_no_image_is_written():
    words = ["run", "in.tif", "--table", "cells.csv", "label", "+", "regionprops_table"]
    for given in (words, [*words[:2], *words[4:], *words[2:4]], [*words[:4], " ".join(words[4:])]):
        options = parse(given)
        assert options.target is None
        assert [each["operation"] for each in parse_steps(options.steps)] == words[4::2]
    options = parse(["run", "in.tif", "--ranks", "2", "out.tif", "invert"])
    assert (options.target, options.steps) == (Path("out.tif"), ["invert"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("missing.png", "o.png", "invert"), "dip: missing.png: no such file"),
        (("in.png", "o.xyz", "invert"), "dip: o.xyz: its ending names the format"),
        (("in.png", "o.png"), "dip: steps: must hold 1 to 20 operations, got 0"),
        (
            ("in.png", "o.png", "gaussian", "sigma=1e9"),
            "dip: steps[0].sigma: must lie between 0.1 and 100 px, got 1000000000.0",
        ),
        (
            ("notes.png", "o.png", "invert"),
            "dip: notes.png: is text, which this app does not read",
        ),
        (("in.png", "o.png", "--ranks", "two", "invert"), "dip: argument --ranks: invalid int"),
        (("in.png", "o.png", "invert", "--format", "tiff"), "dip: --format: is for a folder; the"),
        (("in.png", "o.png", "invert", "--again"), "dip: --again: is for a folder; the file o.png"),
        (("in.png", "nowhere/o.png", "invert"), "dip: nowhere/o.png: cannot be written"),
        (("in.png", "folder.png", "invert"), "dip: folder.png: cannot be written: it is a folder"),
        (
            ("in.png", f"{'o' * 250}.png", "invert", "--ranks", "1"),
            f"dip: {'o' * 250}.png: cannot be written: File name too long",
        ),
    ],
)
def test_bad_input_is_exit_code_2_and_one_sentence(
    dip, photograph, tmp_path, monkeypatch, words, sentence
):
    (tmp_path / "notes.png").write_text("hello")
    (tmp_path / "folder.png").mkdir()
    monkeypatch.chdir(photograph.parent)
    ran = dip("run", *words)
    assert ran.returncode == 2
    assert ran.stderr.startswith(sentence)
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_process_of_its_own_ends_with_the_same_code_and_sentence(tmp_path):
    (tmp_path / "notes.png").write_text("hello")
    ran = started("run", tmp_path / "notes.png", tmp_path / "o.png", "invert", "--ranks", 1)
    assert ran.returncode == 2
    assert ran.stderr.startswith("dip: notes.png: is text, which this app does not read")
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_signal_to_end_leaves_no_file_and_no_memory(tmp_path):
    source = tmp_path / "scan.tif"
    tifffile.imwrite(source, np.zeros((12_000, 12_000), np.uint8), tile=(256, 256), compression=8)
    words = ("run", source, tmp_path / "out.tif", "denoise_nl_means", "--ranks", "1")
    with subprocess.Popen(
        [sys.executable, "-m", "cluster_worker.cli", *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
    ) as ran:
        deadline = time.monotonic() + 60
        while not any(tmp_path.glob(".dip-*/*/tiles-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        began = [*tmp_path.glob(".dip-*/*/tiles-*"), *SHARED.glob(f"dip-{ran.pid}-*")]
        ran.terminate()
        _, said = ran.communicate(timeout=30)
    assert len(began) == 2
    assert (ran.returncode, said) == (130, "dip: cancelled\n")
    assert [*tmp_path.iterdir()] == [source]
    assert not [*SHARED.glob(f"dip-{ran.pid}-*")]


@pytest.mark.slow
def test_a_folder_is_run_past_a_damaged_file_and_only_once(dip, tmp_path):
    scans, target = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    Image.fromarray(data.coins()).save(scans / "coins.png")
    (scans / "notes.png").write_text("hello")
    words = "run", scans, target, "invert", "--format", "tiff"
    ran = dip(*words)
    refused, said = ran.stderr.splitlines()
    assert ran.returncode == 2
    assert refused.startswith("dip: notes.png: is text, which this app does not read")
    assert said == f"dip: 1 result written to {target}, 1 failed; {target}/dip-run.jsonl says which"
    assert (tifffile.imread(target / "coins.tif") == 255 - data.coins()).all()
    (scans / "notes.png").unlink()
    ran = dip(*words)
    assert (ran.returncode, ran.stderr) == (
        0,
        f"0 results written to {target}, 1 were there already\n",
    )


@pytest.mark.slow
def test_a_recipe_with_a_mask_a_table_and_another_image_runs_in_the_shell(dip, tmp_path):
    coins = data.coins()
    tifffile.imwrite(tmp_path / "coins.tif", coins)
    tifffile.imwrite(tmp_path / "dark.tif", coins // 9)
    words = "subtract other=input:dark + gaussian + threshold_otsu as=mask keep + label + "
    words += "regionprops_table properties=label,area intensity=original as=coins"
    given = tmp_path / "coins.tif", tmp_path / "out.tif", *words.split()
    given = "run", *given, "--input", f"dark={tmp_path / 'dark.tif'}", "--ranks", 2
    planned = dip(*given, "--plan").stdout.splitlines()
    assert planned[0].startswith("chain 1: reads original, input:dark; leaves mask of bool, ")
    assert "gives the table coins" in planned[-4]
    ran = dip(*given)
    assert (ran.returncode, ran.stderr) == (0, "")
    names = sorted(each.name for each in tmp_path.iterdir())
    assert names == ["coins.tif", "dark.tif", "out.tif", "out_coins.csv", "out_mask.tif"]
    rows = (tmp_path / "out_coins.csv").read_text().splitlines()
    assert rows[0] == "label,area"
    assert len(rows) - 1 == tifffile.imread(tmp_path / "out.tif").max()


def test_words_of_a_chain_name_images_and_list_values():
    words = "gaussian as=a keep + sobel image=original mask=a + regionprops_table"
    assert parse_steps([*words.split(), "properties=label,area", "spacing=0.5"]) == [
        {"operation": "gaussian", "id": "a", "keep": True},
        {"operation": "sobel", "image": "original", "mask": "a"},
        {"operation": "regionprops_table", "properties": ["label", "area"], "spacing": [0.5]},
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["flat"], "--input: must be NAME=FILE, got 'flat'"),
        (["=a.tif"], "--input: must be NAME=FILE, got '=a.tif'"),
        (["a=b.tif", "a=c.tif"], "--input: a is given twice"),
    ],
)
def test_an_input_is_a_name_and_a_file(words, sentence):
    assert parse_inputs(["a=b=c.tif"]) == {"a": Path("b=c.tif")}
    with pytest.raises(Rejected, match=f"^{re.escape(sentence)}$"):
        parse_inputs(words)


def test_steps_are_separated_by_a_plus():
    words = [
        "gaussian",
        "sigma=2",
        "mode=mirror",
        "+",
        "invert",
        "+",
        "canny",
        "low_threshold=null",
    ]
    assert parse_steps(words) == [
        {"operation": "gaussian", "sigma": 2, "mode": "mirror"},
        {"operation": "invert"},
        {"operation": "canny", "low_threshold": None},
    ]


def test_a_chain_may_be_one_word_and_options_stand_before_it():
    options = parse(["run", "a.png", "b.png", "--plan", "gaussian sigma=2 + invert"])
    assert options.plan
    assert parse_steps(options.steps) == [
        {"operation": "gaussian", "sigma": 2},
        {"operation": "invert"},
    ]
    options = parse(["run", "a.png", "b.png", "--ranks", "2", "gaussian", "+", "invert"])
    assert options.steps == ["gaussian", "+", "invert"]


@pytest.mark.parametrize("words", [["run", "a", "b", "invert", "--never"], ["info", "a", "b"]])
def test_a_word_that_belongs_nowhere_is_named(words, capsys):
    with pytest.raises(SystemExit):
        parse(words)
    assert f"unrecognized arguments: {words[-1]}" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["sigma=2"], ["gaussian", "invert"], ["+", "+", "x=1"]])
def test_a_misplaced_word_is_named(words):
    with pytest.raises(Rejected, match=r"^steps: expected"):
        parse_steps(words)


def test_files_among_the_steps_are_told_how_many_images_are_given(tmp_path):
    with pytest.raises(Rejected, match="is a file or folder, and no operation; for many images"):
        parse_steps([str(tmp_path), "invert"])


def test_the_operations_are_listed_one_a_line_and_explained(dip):
    assert len(dip("operations").stdout.splitlines()) == len(OPERATIONS)
    assert "sigma=1.0  0.1 to 100 px" in dip("operations", "gaussian").stdout
    unknown = dip("operations", "nothing")
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("dip: nothing: no operation has that name")
