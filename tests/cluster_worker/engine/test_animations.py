"""Animations from file to file: each frame through the chain by itself, with its time."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from cluster_worker import Engine, Rejected
from cluster_worker.pixels.stack import Choice

TIMES, LOOPS = [40, 50, 60, 70], 3
EXTENSIONS = {"gif": "gif", "webp": "webp", "png": "png"}
rng = np.random.default_rng(5)


@pytest.fixture(scope="module")
def engine(warm_engine):
    with Engine(ranks=2, beside=warm_engine) as made:
        yield made


def frames(mode):
    """Return four pictures of few colours, each with another square in them."""
    made = []
    for number in range(4):
        pixels = rng.integers(0, 4, (40, 50, 4)).astype(np.uint8) * 60
        pixels[..., 3] = np.where(pixels[..., 3] > 60, 255, 0)
        pixels[10:30, 5 + 9 * number : 20 + 9 * number] = (200, 40 * number, 20, 255)
        made.append(Image.fromarray(pixels).convert(mode))
    return made


def write(path, mode):
    first, *others = frames(mode)
    options = {"lossless": True, "exact": True} if path.suffix == ".webp" else {}
    loops = LOOPS - 1 if path.suffix == ".gif" else LOOPS
    first.save(path, save_all=True, append_images=others, duration=TIMES, loop=loops, **options)


def read(path, mode):
    """Return the frames that Pillow reads, and their times in milliseconds."""
    with Image.open(path) as file:
        found, times = [], []
        for number in range(file.n_frames):
            file.seek(number)
            found.append(np.asarray(file.convert(mode)))
            times.append(round(file.info["duration"]))
        return found, times


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_frames_are_those_that_pillow_reads_and_keep_their_times(engine, tmp_path, extension, mode):
    source, target = tmp_path / f"in.{extension}", tmp_path / f"out.{extension}"
    write(source, mode)
    flip = [{"operation": "flip"}]
    assert engine.run_file(source, target, flip) == ()
    before, after = read(source, "RGBA"), read(target, "RGBA")
    assert before[1] == after[1] == TIMES
    for one, other in zip(before[0], after[0], strict=True):
        seen = one[..., 3:] > 0
        np.testing.assert_array_equal((one * seen)[:, ::-1], other * (other[..., 3:] > 0))
    with Image.open(source) as one, Image.open(target) as other:
        assert one.info["loop"] == other.info["loop"]


def test_frames_go_through_the_chain_by_themselves(engine, tmp_path):
    write(tmp_path / "in.gif", "RGB")
    steps = [{"operation": "rgb2gray"}, {"operation": "gaussian", "sigma": 1.5}]
    engine.run_file(tmp_path / "in.gif", tmp_path / "out.png", steps)
    sources, _ = read(tmp_path / "in.gif", "RGB")
    results, times = read(tmp_path / "out.png", "L")
    assert times == TIMES
    for source, result in zip(sources, results, strict=True):
        np.testing.assert_array_equal(result, engine.run(source, steps))


def test_frames_become_a_stack_of_times(engine, tmp_path):
    write(tmp_path / "in.png", "RGB")
    invert = [{"operation": "invert"}]
    notes = engine.run_file(tmp_path / "in.png", tmp_path / "out.tif", invert)
    assert notes == ("times of the frames dropped: TIFF files cannot hold them",)
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert (file.series[0].axes, file.series[0].shape) == ("TYXS", (4, 40, 50, 3))
        expected = 255 - np.stack(read(tmp_path / "in.png", "RGB")[0])
        np.testing.assert_array_equal(file.asarray(), expected)


def test_one_frame_becomes_a_picture(engine, tmp_path):
    write(tmp_path / "in.png", "RGB")
    choice = Choice(t="3")
    engine.run_file(
        tmp_path / "in.png", tmp_path / "out.png", [{"operation": "invert"}], choice=choice
    )
    with Image.open(tmp_path / "out.png") as file:
        assert getattr(file, "n_frames", 1) == 1
        np.testing.assert_array_equal(
            np.asarray(file), 255 - read(tmp_path / "in.png", "RGB")[0][2]
        )


def test_slices_become_frames_with_a_note(engine, tmp_path):
    planes = rng.integers(0, 255, (3, 30, 40)).astype(np.uint8)
    tifffile.imwrite(
        tmp_path / "in.tif", planes, metadata={"axes": "ZYX"}, photometric="minisblack"
    )
    notes = engine.run_file(tmp_path / "in.tif", tmp_path / "out.gif", [{"operation": "invert"}])
    assert notes[0] == "axes z dropped: GIF files have frames without axes"
    np.testing.assert_array_equal(np.stack(read(tmp_path / "out.gif", "L")[0]), 255 - planes)


def test_no_frame_of_a_gif_shows_through_the_next_one(engine, tmp_path):
    pixels = np.full((2, 30, 40, 4), 255, np.uint8)
    pixels[1, :20, :, 3] = 0
    tifffile.imwrite(
        tmp_path / "in.tif",
        pixels,
        metadata={"axes": "TYXS"},
        photometric="rgb",
        extrasamples=["unassalpha"],
    )
    engine.run_file(tmp_path / "in.tif", tmp_path / "out.gif", [{"operation": "flip"}])
    found, _ = read(tmp_path / "out.gif", "RGBA")
    np.testing.assert_array_equal(np.stack(found)[..., 3], pixels[..., 3])


def test_more_colours_than_a_gif_holds_are_reduced_with_a_note(engine, tmp_path):
    pixels = rng.integers(0, 255, (2, 30, 40, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "in.tif", pixels, metadata={"axes": "TYXS"}, photometric="rgb")
    notes = engine.run_file(tmp_path / "in.tif", tmp_path / "out.gif", [{"operation": "flip"}])
    assert "colours were reduced to 256: GIF holds no more" in notes


def test_frames_of_several_sizes_are_refused_with_the_way_out(engine, tmp_path):
    with tifffile.TiffWriter(tmp_path / "in.tif") as writer:
        for rows in (30, 31):
            writer.write(np.zeros((rows, 40), np.uint8), metadata=None)
    with pytest.raises(Rejected, match=r"plane 2 of 2: has 31 × 40 pixels.*choose TIFF"):
        engine.run_file(tmp_path / "in.tif", tmp_path / "out.png", [{"operation": "invert"}])


def test_frames_of_several_kinds_are_refused_with_the_way_out(engine, tmp_path):
    gray = np.full((30, 40), 7, np.uint8)
    for other in (np.dstack([gray] * 3), gray.astype(np.uint16)):
        with tifffile.TiffWriter(tmp_path / "in.tif") as writer:
            for each in (gray, other):
                writer.write(each, metadata=None)
        with pytest.raises(Rejected, match=r"plane 2 of 2: has other channels.*choose TIFF"):
            engine.run_file(tmp_path / "in.tif", tmp_path / "out.png", [{"operation": "invert"}])


def test_class_numbers_of_a_gif_stay_class_numbers(engine, tmp_path):
    classes = Image.fromarray(rng.integers(0, 5, (40, 50)).astype(np.uint8))
    classes.putpalette(bytes(rng.integers(0, 255, 15).tolist()))
    classes.save(tmp_path / "in.gif")
    engine.run_file(tmp_path / "in.gif", tmp_path / "out.gif", [{"operation": "flip"}])
    with Image.open(tmp_path / "in.gif") as one, Image.open(tmp_path / "out.gif") as other:
        np.testing.assert_array_equal(np.asarray(one)[:, ::-1], np.asarray(other))
        assert one.getpalette()[:15] == other.getpalette()[:15]


def test_a_gif_that_ends_within_a_frame_names_the_frame(engine, tmp_path):
    write(tmp_path / "in.gif", "RGB")
    content = (tmp_path / "in.gif").read_bytes()
    (tmp_path / "in.gif").write_bytes(content[: len(content) - 300])
    with pytest.raises(Rejected, match=r"in\.gif: plane 4 of 4: "):
        engine.run_file(tmp_path / "in.gif", tmp_path / "out.gif", [{"operation": "flip"}])
