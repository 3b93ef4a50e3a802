"""How results are written, by the engine and the shell: in memory, by tiles, plane by plane."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

from cluster_worker import Engine, Rejected
from cluster_worker.cli import parse, run_file
from cluster_worker.engine.run_folder import FolderOptions, run_folder
from cluster_worker.imagefiles.output import Output

FLIP = [{"operation": "flip"}]
OTSU = [{"operation": "threshold_otsu"}]
PHOTO = data.astronaut()[:330, :290]


@pytest.fixture(scope="module")
def engine(warm_engine):
    with Engine(1, beside=warm_engine) as found:
        yield found


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, PHOTO, photometric="rgb", metadata=None, tile=(64, 64))
    return path


def first_page(path):
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        return page.compression.name, page.is_tiled, len(file.series[0].levels), page.asarray()


@pytest.mark.parametrize("memory", [None, 0])
@pytest.mark.parametrize("compression", ["zstd", "lzw", "none", "jpeg"])
def test_a_result_in_memory_and_one_by_tiles_become_the_same_cog(
    engine, photo, tmp_path, monkeypatch, memory, compression
):
    if memory is not None:
        monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", memory)
    target = tmp_path / "out.tif"
    output = Output(compression=compression, layout="cog", quality=90)
    if compression != "jpeg":
        output = output._replace(quality=None)
    assert engine.run_file(photo, target, FLIP, output=output) == ()
    name, tiled, levels, pixels = first_page(target)
    assert (name, tiled, levels) == (compression.upper(), True, 2)
    difference = np.abs(pixels.astype(int) - PHOTO[:, ::-1])
    assert difference.mean() < 3 if compression == "jpeg" else not difference.any()


def test_a_large_result_is_written_in_tiles_whatever_was_chosen(
    engine, photo, tmp_path, monkeypatch
):
    monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", 0)
    target = tmp_path / "out.tif"
    (note,) = engine.run_file(photo, target, OTSU, output=Output(compression="g4"))
    assert note == "written in tiles, compressed by deflate: the result is larger than memory"
    assert first_page(target)[:2] == ("ADOBE_DEFLATE", True)


def test_a_mask_becomes_a_fax(engine, photo, tmp_path):
    target = tmp_path / "out.tif"
    assert engine.run_file(photo, target, OTSU, output=Output(compression="g4")) == ()
    name, _, _, pixels = first_page(target)
    assert name == "CCITTFAX4"
    # The page counts from white.
    plain = tmp_path / "plain.tif"
    engine.run_file(photo, plain, OTSU)
    np.testing.assert_array_equal(~pixels, first_page(plain)[3] > 0)


def test_a_target_that_is_named_so_becomes_an_ome_tiff(engine, photo, tmp_path):
    target = tmp_path / "out.ome.tif"
    assert engine.run_file(photo, target, FLIP) == ()
    with tifffile.TiffFile(target) as file:
        assert file.is_ome
        np.testing.assert_array_equal(file.asarray(), PHOTO[:, ::-1])


def test_a_stack_is_written_as_a_pyramid_plane_by_plane(engine, tmp_path):
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    stack = np.stack([PHOTO[..., 0], PHOTO[..., 1]])
    tifffile.imwrite(source, stack, photometric="minisblack", metadata={"axes": "ZYX"})
    assert engine.run_file(source, target, FLIP, output=Output(layout="pyramid")) == ()
    with tifffile.TiffFile(target) as file:
        assert [each.shape for each in file.series[0].levels] == [(2, 330, 290), (2, 165, 145)]
        np.testing.assert_array_equal(file.series[0].asarray(), stack[..., ::-1])
    for ending, output in (("tif", Output(layout="cog")), ("webp", Output(bytes_max=900))):
        with pytest.raises(Rejected, match=r"the result has 2 planes, and .* is for one; leave"):
            engine.run_file(source, tmp_path / f"other.{ending}", FLIP, output=output)


@pytest.mark.parametrize(
    ("ending", "output", "sentence"),
    [
        ("png", Output(layout="cog"), "layout: is for tiff, and results are png; leave it out"),
        ("tif", Output(quality=80), "quality: is for JPEG, WebP, AVIF and JPEG XL; TIFF is wri"),
        ("tif", Output(compression="zip"), "compression: must be one of none, deflate, lzw, zstd,"),
        ("jpg", Output(bytes_max=1), "bytes_max: must be a whole number from 100 to 1099511627776"),
        # Not a whole number: no search through all that are allowed.
        ("jpg", Output(bytes_max=3000.5), "bytes_max: must be a whole number from 100 to 1099511"),
        ("jpg", Output(quality=90.0), "quality: must be a whole number from 1 to 100, got 90.0"),
        ("jpg", Output(progressive="no"), "progressive: must be True or False, got 'no'"),
        ("tif", Output(compression="g4"), "in.tif: compression: g4 holds masks of 1 bit, and the"),
    ],
)
def test_what_cannot_be_written_so_is_refused_before_it_is_computed(
    engine, photo, tmp_path, ending, output, sentence
):
    target = tmp_path / f"out.{ending}"
    with pytest.raises(Rejected) as caught:
        engine.run_file(photo, target, FLIP, output=output)
    assert str(caught.value).startswith(sentence)
    assert not target.exists()


def test_in_a_folder_each_result_takes_the_options_that_are_for_its_format(engine, photo, tmp_path):
    scans, target = tmp_path / "scans", tmp_path / "results"
    scans.mkdir()
    photo.rename(scans / "a.tif")
    Image.fromarray(PHOTO).save(scans / "b.jpg")
    Image.fromarray(PHOTO).save(scans / "c.png")
    options = FolderOptions(FLIP, output=Output(compression="g4", progressive=True))
    report = run_folder(engine, scans, target, options)
    notes = {each.image: each.notes for each in report.written}
    assert notes["a.tif"] == (
        "compressed as usual: g4 holds masks of 1 bit, and the result is a picture of uint8",
    )
    assert notes["c.png"] == ()
    with Image.open(target / "b.jpg") as file:
        assert file.info["progressive"]
    with pytest.raises(Rejected, match="made with other output"):
        run_folder(engine, scans, target, replace(options, output=Output()))


def test_a_mask_of_a_fax_in_tiles_says_how_it_is_compressed(engine, tmp_path):
    fax, target = tmp_path / "fax.tif", tmp_path / "out.tif"
    Image.fromarray(PHOTO[..., 0] > 99).save(fax, compression="group4")
    (note,) = engine.run_file(fax, target, FLIP, output=Output(layout="tiles"))
    assert note == "compressed by deflate: g4 is written in strips"
    assert first_page(target)[:2] == ("ADOBE_DEFLATE", True)


@pytest.mark.slow
def test_the_shell_says_how_a_result_is_written(dip, photo, tmp_path):
    target = tmp_path / "out.tif"
    words = f"run {photo} {target} flip --compression zstd --layout cog --ranks 1"
    assert dip(*words.split()).returncode == 0
    assert first_page(target)[:2] == ("ZSTD", True)
    target = tmp_path / "out.jpg"
    words = f"run {photo} {target} flip --bytes-max 12000 --subsampling 420 --progressive --ranks 1"
    assert dip(*words.split()).returncode == 0
    assert target.stat().st_size <= 12_000
    with Image.open(target) as file:
        assert file.info["progressive"]
    with pytest.raises(Rejected, match="layout: is for tiff, and results are jpeg"):
        run_file(parse(f"run {photo} {target} flip --layout cog".split()))
