"""Options of a run say how a file is read: its kind, its channels, and pixels without data."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from cluster_worker import cli
from cluster_worker.engine.engine import Engine
from cluster_worker.engine.run_folder import FolderOptions, described
from cluster_worker.errors import Rejected
from cluster_worker.pixels import header as pixels_header
from cluster_worker.pixels.stack import Choice, choice_of
from config.contract.reading import KINDS, OPTIONS

pytestmark = pytest.mark.timeout(300)

FLIP = [{"operation": "flip"}]
RANDOM = np.random.default_rng(9)


@pytest.fixture(scope="module")
def engine(warm_engine):
    with Engine(ranks=2, beside=warm_engine) as started:
        yield started


def done(engine, source, steps, target=None, **choice):
    target = target or source.with_name("out.tif")
    notes = engine.run_file(source, target, steps, choice=Choice(**choice))
    return tifffile.imread(target), notes


def written(tmp_path, image, **options):
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, image, **options)
    return path


def test_the_options_are_declared_once():
    assert set(OPTIONS) == set(Choice._fields)
    assert KINDS == pixels_header.KINDS
    assert choice_of({"z": "4..9", "nodata": "spread"}) == Choice(z="4..9", nodata="spread")
    assert np.isnan(choice_of({"nodata": "nan"}).nodata)


def test_a_value_that_the_request_states_counts_for_nothing(engine, tmp_path):
    image = np.full((30, 30), 100, np.int16)
    image[10:14, 10:14] = -9999
    source = written(tmp_path, image)
    steps = [{"operation": "gaussian", "sigma": 2.0}]
    found, _ = done(engine, source, steps, nodata=-9999.0)
    np.testing.assert_array_equal(found, image)
    spoiled, _ = done(engine, source, steps)
    assert spoiled[9, 10] < 0
    with tifffile.TiffFile(source.with_name("out.tif")) as file:
        assert 42113 not in file.pages[0].tags
    done(engine, source, steps, nodata=-9999.0)
    with tifffile.TiffFile(source.with_name("out.tif")) as file:
        assert float(file.pages[0].tags[42113].value) == -9999


def test_a_stated_value_stands_before_that_of_the_file(engine, tmp_path):
    image = np.full((30, 30), 100, np.uint8)
    image[5], image[20] = 7, 9
    source = written(tmp_path, image, extratags=[(42113, "s", 0, "7", True)])
    steps = [{"operation": "threshold_mean"}]
    found, _ = done(engine, source, steps, nodata=9.0)
    assert (found[5] == 0).all()
    rank = [{"operation": "rank_minimum", "radius": 1}]
    assert done(engine, source, rank, nodata=9.0)[0][4].max() == 7
    assert done(engine, source, rank)[0][4].min() == 100
    assert done(engine, source, rank, nodata="spread")[0][4].max() == 7


def test_an_operation_without_a_rule_refuses_a_file_with_nodata(engine, tmp_path):
    image = RANDOM.integers(1, 200, (30, 30)).astype(np.uint8)
    source = written(tmp_path, image, extratags=[(42113, "s", 0, "0", True)])
    with pytest.raises(Rejected, match="sobel: has no rule for pixels without data"):
        done(engine, source, [{"operation": "sobel"}])
    done(engine, source, [{"operation": "sobel"}], nodata="spread")


@pytest.mark.parametrize("nodata", [None, "spread"])
def test_an_array_with_nan_is_averaged_over_its_numbers(engine, nodata):
    image = RANDOM.random((40, 40)).astype(np.float32)
    image[7, 8] = np.nan
    found = engine.run(image, [{"operation": "gaussian", "sigma": 1.0}], nodata=nodata)
    assert np.isnan(found).sum() == (81 if nodata else 1)
    native = engine.run(image, [{"operation": "gaussian", "sigma": 1.0}], depth="native")
    assert np.isnan(native).sum() == 81


def test_an_array_has_the_value_that_is_stated(engine):
    image = np.full((20, 20), 50, np.uint8)
    image[3, 3] = 255
    found = engine.run(image, [{"operation": "gaussian"}], nodata=255)
    np.testing.assert_array_equal(found, image)
    with pytest.raises(Rejected, match="nodata: must be a value of uint8, 0 to 255, got -9999"):
        engine.run(image, [{"operation": "gaussian"}], nodata=-9999)
    with pytest.raises(Rejected, match="nodata: is for images without alpha"):
        engine.run(np.dstack([image] * 4), [{"operation": "gaussian"}], nodata=0)


def test_labels_keep_their_numbers_and_intensities_do_not(engine, tmp_path):
    image = np.zeros((20, 20), np.uint16)
    image[2:8, 2:8], image[12:18, 12:18] = 40_000, 7
    source = written(tmp_path, image)
    steps = [{"operation": "expand_labels", "distance": 1.0}]
    found, _ = done(engine, source, steps, kind="labels")
    assert set(np.unique(found)) == {0, 7, 40_000}
    assert (found[1, 3], found[11, 13]) == (40_000, 7)
    with pytest.raises(Rejected, match="takes a picture, got labels"):
        done(engine, source, [{"operation": "gaussian"}], kind="labels")


def test_labels_have_no_region_where_there_is_no_data(engine, tmp_path):
    image = np.zeros((20, 20), np.int32)
    image[2:8, 2:8], image[12:18] = 5, -9999
    source = written(tmp_path, image)
    steps = [{"operation": "regionprops_table", "properties": ["area"], "id": "t"}]
    target = source.with_name("out.tif")
    choice = Choice(kind="labels", nodata=-9999.0)
    engine.run_file(source, target, steps, choice=choice)
    table = (tmp_path / "out_t.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table[1:]] == ["36.0"]


def test_a_mask_is_all_that_is_not_0(engine, tmp_path):
    image = np.zeros((20, 20), np.uint8)
    image[4:10, 4:10] = RANDOM.integers(1, 255, (6, 6))
    source = written(tmp_path, image)
    found, _ = done(engine, source, [{"operation": "isotropic_dilation", "radius": 1}], kind="mask")
    assert set(np.unique(found)) == {0, 255}
    assert (found[3:11, 5] > 0).all()


def test_bands_are_channels_of_which_none_is_alpha(engine, tmp_path):
    image = RANDOM.integers(0, 255, (20, 21, 4)).astype(np.uint8)
    image[:10, ..., 3] = 0
    source = tmp_path / "in.png"
    Image.fromarray(image).save(source)
    steps = [{"operation": "gaussian", "sigma": 1.0}]
    found, _ = done(engine, source, steps, kind="bands")
    right = engine.run(image, steps, alpha=False)
    np.testing.assert_array_equal(found, right)
    assert (done(engine, source, steps)[0] != found).any()


def test_a_palette_gives_labels_or_colours_but_no_intensities(engine, tmp_path):
    source = tmp_path / "in.png"
    indices = (np.arange(400).reshape(20, 20) % 5).astype(np.uint8)
    picture = Image.fromarray(indices, "P")
    picture.putpalette([10, 20, 30, 250, 0, 0, 0, 250, 0, 0, 0, 250, 9, 9, 9])
    picture.save(source)
    for steps in (FLIP, [{"operation": "rot90"}]):
        labels, _ = done(engine, source, steps, kind="labels")
        assert labels.shape == (20, 20)
        colours, _ = done(engine, source, steps, kind="picture")
        assert colours.shape == (20, 20, 3)
    with pytest.raises(Rejected, match="kind intensity: is for numbers, and those of this image"):
        done(engine, source, FLIP, kind="intensity")


SENTENCES = [
    ({"kind": "labels"}, "kind labels: is for one number for a pixel, and this image has 3"),
    (
        {"kind": "cells"},
        "kind: must be one of picture, intensity, bands, mask, labels, got",
    ),
    ({"nodata": 300.0}, "nodata: must be a value of uint8, 0 to 255, got 300"),
    ({"nodata": 0.5}, "nodata: must be a value of uint8, 0 to 255, got 0.5"),
    ({"kind": "mask", "channels": "1", "nodata": 1.0}, "nodata: is for more than two values"),
    ({"channels": "4"}, "channels: must lie between 1 and 3, got 4"),
]


@pytest.mark.parametrize(("choice", "sentence"), SENTENCES)
def test_a_wrong_choice_is_refused_with_a_sentence(engine, tmp_path, choice, sentence):
    source = written(tmp_path, np.zeros((9, 9, 3), np.uint8), photometric="rgb")
    with pytest.raises(Rejected, match=sentence):
        done(engine, source, FLIP, **choice)


def test_the_shell_has_the_options(tmp_path, capsys):
    image = np.full((30, 30), 100, np.int16)
    image[10:14, 10:14] = -9999
    source = written(tmp_path, image)
    assert cli.main(["info", str(source), "--nodata", "-9999", "--kind", "labels"]) == 0
    said = capsys.readouterr().out
    assert "kind         labels" in said
    assert "nodata       -9999" in said
    words = ["run", str(source), str(tmp_path / "o.tif"), "gaussian", "--nodata", "x"]
    assert cli.main(words) == 2
    assert "--nodata: must be a number, nan or spread, got 'x'" in capsys.readouterr().err


def test_the_journal_of_a_folder_tells_how_files_were_read():
    plain = described(FolderOptions(FLIP))["planes"]
    assert plain == {"page": "", "t": "", "z": "", "channels": ""}
    told = described(FolderOptions(FLIP, choice=Choice(nodata=float("nan"), kind="labels")))
    assert json.loads(json.dumps(told))["planes"] == plain | {"kind": "labels", "nodata": "nan"}
