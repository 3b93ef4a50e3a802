"""The quality of results with loss: smaller files, and pixels as close as the quality allows."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from imagecodecs import jpegxl_decode
from PIL import Image
from PIL.JpegImagePlugin import get_sampling
from skimage import data

from cluster_worker import Engine, Rejected
from cluster_worker.cli import parse, run_file
from cluster_worker.engine.folders import JOURNAL
from cluster_worker.engine.run_folder import FolderOptions, run_folder

FLIP = [{"operation": "flip"}]
PHOTOGRAPH = data.astronaut()[:256, :320]
# The largest mean difference of a sample from the original, in levels, at qualities 95 and 50.
CLOSE, NEAR = 2.5, 5.0


@pytest.fixture(scope="module")
def engine(warm_engine):
    with Engine(1, beside=warm_engine) as found:
        yield found


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "in.png"
    Image.fromarray(PHOTOGRAPH).save(path)
    return path


def pixels(path, mode="RGB"):
    if path.suffix == ".jxl":
        return jpegxl_decode(path.read_bytes())
    with Image.open(path) as found:
        return np.asarray(found.convert(mode))


def error_of(path):
    """Return the mean difference of a flipped result from the photograph."""
    return np.abs(pixels(path).astype(int) - PHOTOGRAPH[:, ::-1]).mean()


@pytest.mark.parametrize("ending", ["jpg", "webp", "avif", "jxl"])
def test_a_lower_quality_makes_a_smaller_file_that_is_less_close(
    engine, photograph, tmp_path, ending
):
    sizes, errors = [], []
    for quality in (95, 50, 10):
        target = tmp_path / f"{quality}.{ending}"
        assert engine.run_file(photograph, target, FLIP, quality=quality) == ()
        sizes.append(target.stat().st_size)
        errors.append(error_of(target))
    assert sizes[0] > 1.5 * sizes[1] > 1.5 * 1.5 * sizes[2]
    assert errors == sorted(errors)
    assert errors[0] < CLOSE
    assert errors[1] < NEAR


def test_without_a_quality_files_are_as_before(engine, photograph, tmp_path):
    for ending, quality in (("jpg", 95), ("avif", 90)):
        usual, chosen = tmp_path / f"usual.{ending}", tmp_path / f"chosen.{ending}"
        engine.run_file(photograph, usual, FLIP)
        engine.run_file(photograph, chosen, FLIP, quality=quality)
        assert usual.read_bytes() == chosen.read_bytes()
    engine.run_file(photograph, tmp_path / "usual.webp", FLIP)
    assert error_of(tmp_path / "usual.webp") == 0


def test_a_jpeg_of_a_jpeg_has_the_tables_of_the_quality_and_the_subsampling_of_the_original(
    engine, tmp_path
):
    source, target, pillow = (tmp_path / name for name in ("in.jpg", "out.jpg", "pillow.jpg"))
    photograph = Image.fromarray(PHOTOGRAPH)
    photograph.save(source, quality=90, subsampling=2)
    photograph.save(pillow, quality=60)
    engine.run_file(source, target, FLIP, quality=60)
    with Image.open(target) as found, Image.open(pillow) as expected:
        assert found.quantization == expected.quantization
        assert get_sampling(found) == 2


def test_a_mask_in_a_webp_has_no_loss_whatever_the_quality(engine, photograph, tmp_path):
    target = tmp_path / "out.webp"
    engine.run_file(photograph, target, [{"operation": "threshold_otsu"}], quality=30)
    assert set(np.unique(pixels(target, "L"))) == {0, 255}


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_frames_of_a_webp_have_the_quality(engine, tmp_path, mode):
    source, usual, small = (tmp_path / name for name in ("in.webp", "usual.webp", "small.webp"))
    frames = [Image.fromarray(np.roll(PHOTOGRAPH, 40 * number, axis=0)) for number in range(3)]
    for frame in frames if mode == "RGBA" else ():
        frame.putalpha(Image.linear_gradient("L").resize(frame.size))
    frames[0].save(source, save_all=True, append_images=frames[1:], duration=50, lossless=True)
    invert = [{"operation": "invert"}]
    engine.run_file(source, usual, invert)
    assert engine.run_file(source, small, invert, quality=60) == ()
    assert small.stat().st_size < usual.stat().st_size / 3
    with Image.open(usual) as before, Image.open(small) as after:
        assert (after.n_frames, after.mode) == (3, before.mode)
        for number in range(3):
            before.seek(number)
            after.seek(number)
            difference = np.asarray(before).astype(int) - np.asarray(after)
            assert after.info["duration"] == 50
            assert np.abs(difference[..., :3]).mean() < NEAR
            assert not difference[..., 3:].any()


@pytest.mark.parametrize(
    ("ending", "quality", "sentence"),
    [
        ("jpg", 0, "quality: must be a whole number from 1 to 100, got 0"),
        ("jpg", 101, "quality: must be a whole number from 1 to 100, got 101"),
        ("webp", 80.5, "quality: must be a whole number from 1 to 100, got 80.5"),
        (
            "png",
            80,
            "quality: is for JPEG, WebP, AVIF and JPEG XL; PNG is written without a quality, so "
            "leave it out",
        ),
    ],
)
def test_a_quality_that_cannot_be_is_refused(
    engine, photograph, tmp_path, ending, quality, sentence
):
    target = tmp_path / f"out.{ending}"
    with pytest.raises(Rejected) as caught:
        engine.run_file(photograph, target, FLIP, quality=quality)
    assert str(caught.value) == sentence
    assert not target.exists()


def test_a_folder_has_one_quality_and_its_journal_says_which(engine, tmp_path):
    scans, target = tmp_path / "scans", tmp_path / "results"
    scans.mkdir()
    for name in ("a.jpg", "b.png"):
        Image.fromarray(PHOTOGRAPH).save(scans / name)
    run = partial(run_folder, engine, scans, target)
    options = FolderOptions(FLIP, quality=20)
    assert len(run(options).written) == 2
    assert (target / "a.jpg").stat().st_size < (scans / "a.jpg").stat().st_size
    # Without loss, a quality under "same" says nothing.
    assert error_of(target / "b.png") == 0
    assert run(options).before == 2
    with pytest.raises(Rejected, match="made with other quality"):
        run(replace(options, quality=30))
    with pytest.raises(Rejected, match="quality: is for JPEG, WebP, AVIF and JPEG XL; TIFF is"):
        run(replace(options, format="tiff"))


def test_a_folder_of_an_older_version_goes_on_without_a_quality(engine, photograph, tmp_path):
    target = tmp_path / "results"
    (tmp_path / "scans").mkdir()
    photograph.rename(tmp_path / "scans" / "a.png")
    run_folder(engine, tmp_path / "scans", target, FolderOptions(FLIP))
    first, *others = (target / JOURNAL).read_text().splitlines(keepends=True)
    options = json.loads(first)
    del options["quality"]
    (target / JOURNAL).write_text("".join((json.dumps(options) + "\n", *others)))
    assert run_folder(engine, tmp_path / "scans", target, FolderOptions(FLIP)).before == 1


@pytest.mark.slow
def test_the_shell_chooses_a_quality(dip, photograph, tmp_path):
    sizes = []
    for quality in (90, 20):
        target = tmp_path / f"{quality}.jpg"
        words = "run", photograph, target, "flip", "--quality", quality, "--ranks", 1
        assert dip(*words).returncode == 0
        sizes.append(target.stat().st_size)
    assert sizes[1] < sizes[0] / 2
    words = ["run", str(photograph), str(tmp_path / "out.png"), "flip", "--quality", "20"]
    with pytest.raises(Rejected, match="quality: is for JPEG, WebP, AVIF and JPEG XL; PNG"):
        run_file(parse(words))
