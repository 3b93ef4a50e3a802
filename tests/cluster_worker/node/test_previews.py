import hashlib
import io
import threading

import numpy as np
import pika
import pytest
import tifffile
from skimage import data, filters, measure

from cluster_worker.engine.tables import Table
from cluster_worker.errors import Broken
from cluster_worker.imagefiles.viewing import viewable
from cluster_worker.node.consumer import Address, RpcServer
from cluster_worker.node.previews import FAILED, Previewer, halved, plain, thinned
from cluster_worker.node.samples import first_rows, fitting
from config.contract import resources
from config.contract.preview import Answer, Question
from tests.app import pictures
from tests.cluster_worker.imagefiles.test_values import values_of

STEPS = ({"operation": "sobel"},)


@pytest.fixture(scope="module")
def previewer():
    with Previewer("/dev/shm") as previewer:  # noqa: S108
        yield previewer


def ask(previewer, content, steps, send=True):
    question = Question(hashlib.sha256(content).hexdigest(), content if send else b"", steps)
    return Answer.from_bytes(previewer.answer(question.to_bytes()))


@pytest.mark.slow
def test_a_preview_is_what_the_steps_make_of_the_picture(previewer):
    image = data.camera()[::4, ::4]
    steps = ({"operation": "gaussian", "sigma": 1.0},)
    answer = ask(previewer, pictures.png(image), steps)
    expected = filters.gaussian(image.astype(np.float32) / 255, 1.0)
    pictures.assert_rounded(pictures.pixels(answer.content), expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "margin"),
    [
        (({"operation": "invert"},), 0),
        (({"operation": "gaussian", "sigma": 2.0}, {"operation": "median", "radius": 3}), 11),
        (({"operation": "gaussian", "sigma": 2.0}, {"operation": "threshold_otsu"}), None),
        (({"operation": "canny"},), None),
        (({"operation": "equalize_adapthist"},), None),
        (({"operation": "rotate", "angle": 10.0},), None),
    ],
)
def test_within_its_margin_a_crop_is_as_the_whole_picture(previewer, steps, margin):
    image = data.camera()[100:300, 100:300]
    crop = ask(previewer, pictures.png(image[40:160, 40:160]), steps)
    assert crop.margin == margin
    if margin is not None:
        whole = pictures.pixels(ask(previewer, pictures.png(image), steps).content)
        core = pictures.pixels(crop.content)[margin : 120 - margin, margin : 120 - margin]
        expected = whole[40 + margin : 160 - margin, 40 + margin : 160 - margin]
        np.testing.assert_array_equal(core, expected)


@pytest.mark.slow
def test_a_recipe_shows_its_last_image_and_the_first_rows_of_its_tables(previewer):
    image = data.coins()[:256, :256]
    steps = (
        {"operation": "threshold_otsu", "id": "mask", "keep": True},
        {"operation": "label"},
        {
            "operation": "regionprops_table",
            "properties": ["label", "area", "centroid_weighted"],
            "intensity": "original",
            "id": "coins",
        },
        {"operation": "image_statistics", "image": "original"},
    )
    answer = ask(previewer, pictures.png(image), steps)
    labels = measure.label(image > filters.threshold_otsu(image))
    np.testing.assert_array_equal(values_of(answer.content)[1], labels)
    assert (answer.image_kind, answer.margin) == ("labels", None)
    coins, statistics = answer.tables
    assert (coins["id"], coins["rows"], len(coins["first"])) == ("coins", labels.max(), 10)
    assert coins["columns"][:2] == [{"name": "label", "unit": ""}, {"name": "area", "unit": "px²"}]
    areas = np.bincount(labels.ravel())[1:11]
    assert [row[:2] for row in coins["first"]] == [[i + 1, area] for i, area in enumerate(areas)]
    assert (statistics["id"], statistics["rows"]) == ("4", 1)


@pytest.mark.slow
def test_a_file_is_previewed_as_its_options_say(previewer, tmp_path):
    planes = np.random.default_rng(4).integers(0, 9, (3, 2, 40, 50)).astype(np.uint16)
    path = tmp_path / "stack.ome.tif"
    tifffile.imwrite(
        path, planes, metadata={"axes": "ZCYX", "Channel": {"Name": ["DAPI", "FITC"]}}, ome=True
    )
    content = path.read_bytes()
    read = {"z": "3", "channels": "2", "kind": "labels", "nodata": 4}
    given = hashlib.sha256(content).hexdigest(), content, ({"operation": "flip"},), read
    answer = Answer.from_bytes(previewer.answer(Question(*given).to_bytes()))
    assert answer.reason == ""
    _, values = values_of(answer.content)
    np.testing.assert_array_equal(values.reshape(40, 50), planes[2, 1][:, ::-1])
    found = answer.file
    assert (found["kind"], found["dtype"], found["nodata"]) == ("labels", "uint16", 4)
    assert found["axes"] == [{"axis": "z", "planes": 3}, {"axis": "c", "planes": 2}]
    assert found["names"] == ["FITC"]
    again = Answer.from_bytes(
        previewer.answer(Question(given[0], content, given[2], {"z": "4"}).to_bytes())
    )
    assert again.reason == "z: must lie between 1 and 3, got 4"


@pytest.mark.slow
def test_a_file_of_more_pixels_than_a_preview_is_made_smaller(previewer):
    image = np.zeros((2100, 1300), np.uint8)
    content = pictures.png(image)
    question = Question(hashlib.sha256(content).hexdigest(), content, ({"operation": "crop"},), {})
    answer = Answer.from_bytes(previewer.answer(question.to_bytes()))
    assert pictures.pixels(answer.content).shape == (1050, 650)
    assert (answer.file["rows"], answer.file["columns"]) == (2100, 1300)


def ask_to_read(previewer, content, read):
    steps = ({"operation": "crop"},)
    question = Question(hashlib.sha256(content).hexdigest(), content, steps, read)
    return Answer.from_bytes(previewer.answer(question.to_bytes()))


def tiff(image, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, image, **options)
    return file.getvalue()


@pytest.mark.slow
def test_a_number_beyond_all_floats_is_refused_in_a_sentence(previewer):
    answer = ask_to_read(previewer, pictures.png(data.coins()), {"nodata": 10**400})
    assert answer.reason.startswith("preview: nodata: must be a number that a float")


@pytest.mark.slow
@pytest.mark.parametrize("error", [OverflowError, MemoryError, KeyError])
def test_an_error_that_nobody_foresaw_is_an_answer(previewer, monkeypatch, error):
    def fail(*_, **__):
        raise error("unforeseen")

    with monkeypatch.context() as patch:
        patch.setattr(previewer, "preview", fail)
        assert ask(previewer, pictures.png(data.coins()), STEPS) == Answer(reason=FAILED)


@pytest.mark.slow
def test_a_small_file_of_many_bands_is_refused_before_it_is_decoded(previewer, monkeypatch):
    content = tiff(
        np.zeros((40, 50, 60), np.uint8),
        photometric="minisblack",
        planarconfig="contig",
        compression="zlib",
    )
    assert ask_to_read(previewer, content, {"channels": "1"}).reason == ""
    monkeypatch.setattr("cluster_worker.node.previews.DECODED_BYTES_MAX", 40 * 50 * 60 - 1)
    monkeypatch.setattr(previewer.decoder, "read_pixels", None)
    reason = ask_to_read(previewer, content, {"kind": "bands"}).reason
    assert reason.startswith("preview: 40 × 50 × 60 numbers of uint8 take")


@pytest.mark.slow
def test_pixels_without_data_are_not_averaged_with_others(previewer):
    image = np.full((1100, 1000), 100, np.uint8)
    image[1::2] = 0
    # Of every two rows, the first has data.
    answer = ask_to_read(previewer, pictures.png(image), {"kind": "intensity", "nodata": 0})
    assert set(np.unique(pictures.pixels(answer.content))) == {100}


@pytest.mark.slow
def test_a_preview_s_contrast_leaves_pixels_without_data_out(previewer):
    image = np.random.default_rng(5).integers(300, 800, (60, 80)).astype(np.uint16)
    image[:30] = 60_000
    content = pictures.png(image)
    given = hashlib.sha256(content).hexdigest(), content, ({"operation": "median"},)
    question = Question(*given, {"kind": "intensity", "nodata": 60_000})
    answer = Answer.from_bytes(previewer.answer(question.to_bytes()))
    assert answer.reason == ""
    summary, values = values_of(answer.content)
    assert (values[:30] == 60_000).all()
    low, high = summary["limits"]
    assert 300 <= low < high < 800
    assert sum(map(sum, summary["histogram"]["counts"])) == 30 * 80


def test_labels_are_made_smaller_without_new_ones():
    labels = np.array([[1, 1, 9], [1, 0, 9], [7, 7, 7]])
    np.testing.assert_array_equal(thinned(labels), [[1, 9], [7, 7]])


def test_a_table_that_an_answer_cannot_hold_is_without_rows_or_absent(monkeypatch):
    small, large = {"id": "1", "first": [[1]]}, {"id": "2", "first": [[1]] * 30}
    monkeypatch.setattr("cluster_worker.node.samples.BYTES_MAX", 90)
    assert fitting([small, large]) == [small, {"id": "2", "first": []}]
    assert fitting([small] * 4) == [small] * 3


def test_numbers_that_json_does_not_have_are_absent_from_the_first_rows():
    assert first_rows(Table(a=np.array([np.nan, 2.0]), b=np.array([1, 2]))) == [[None, 1], [2.0, 2]]


def test_a_gray_picture_that_a_browser_sends_in_colour_is_gray():
    gray = data.camera()[:8, :8]
    opaque = np.full((8, 8), 255, np.uint8)
    np.testing.assert_array_equal(plain(np.stack([gray] * 3 + [opaque], axis=2)), gray)
    clear = np.stack([gray] * 3 + [opaque // 2], axis=2)
    assert plain(clear) is clear


@pytest.mark.slow
def test_a_picture_is_sent_once_and_asked_for_where_it_is_not_known(previewer):
    content = pictures.png(data.coins()[:64, :64])
    steps = ({"operation": "invert"},)
    assert ask(previewer, content, steps, send=False) == Answer()
    first = ask(previewer, content, steps)
    assert first.content
    assert ask(previewer, content, steps, send=False) == first


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "steps", "words"),
    [
        (pictures.png(data.coins())[:500], ({"operation": "invert"},), "preview"),
        (pictures.png(data.coins()), ({"operation": "nothing"},), "no operation is called"),
        (pictures.zeros_of(2000, 2000), ({"operation": "invert"},), "megapixels"),
    ],
)
def test_what_cannot_be_previewed_is_told_and_harms_nothing(previewer, content, steps, words):
    assert words in ask(previewer, content, steps).reason
    assert previewer.answer(b"no question")


@pytest.mark.slow
def test_a_part_of_ours_that_fails_is_not_the_pictures_fault_unless_it_fails_again(
    previewer, monkeypatch
):
    def break_down(*_, **__):
        raise Broken("the world is away")

    with monkeypatch.context() as patch:
        patch.setattr(previewer.engine, "allocate_job", break_down)
        answers = [ask(previewer, pictures.png(data.coins()), STEPS) for _ in range(2)]
    assert [(each.reason != "", each.retry_seconds) for each in answers] == [(True, 1), (True, 0)]
    assert ask(previewer, pictures.png(data.coins()), ({"operation": "invert"},)).content


@pytest.mark.slow
def test_a_result_that_is_too_large_for_a_message_is_halved(previewer, monkeypatch):
    image = data.coins()[:100, :101]
    steps = ({"operation": "rescale", "scale": 4.0},)
    monkeypatch.setattr("cluster_worker.node.previews.PIXELS_MAX", 300 * 300)
    answer = ask(previewer, pictures.png(image), steps)
    assert pictures.pixels(answer.content).shape == (200, 202)
    assert answer.margin is None
    monkeypatch.setattr("cluster_worker.node.previews.CONTENT_BYTES_MAX", len(answer.content) - 1)
    smaller = ask(previewer, pictures.png(image), steps)
    assert pictures.pixels(smaller.content).shape == (100, 101)


@pytest.mark.parametrize("shape", [(4, 6), (5, 7), (1, 5), (5, 1), (4, 6, 3)])
def test_a_halved_picture_has_the_means_of_its_pixels(shape):
    image = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    small = halved(image)
    assert small.shape == (max(1, shape[0] // 2), max(1, shape[1] // 2), *shape[2:])
    assert small.dtype == np.uint8
    corner = image[: min(2, shape[0]), : min(2, shape[1])].mean(axis=(0, 1))
    np.testing.assert_array_equal(small[0, 0], corner.astype(np.uint8))


def test_masks_are_black_and_white_and_deep_images_get_contrast():
    assert set(np.unique(viewable(np.eye(4, dtype=bool)))) == {0, 255}
    deep = np.linspace(1000, 1100, 10_000, dtype=np.float32).reshape(100, 100)
    shown = viewable(deep)
    assert (shown.dtype, shown.min(), shown.max()) == (np.uint8, 0, 255)
    deep[0, 0] = 1e6
    assert abs(viewable(deep).astype(int)[1:] - shown[1:]).max() <= 2
    assert viewable(np.full((3, 3), np.nan, np.float32)).max() == 0


@pytest.mark.slow
def test_questions_are_answered_on_the_connection_that_asked(broker):
    server = RpcServer(Address(broker.url), resources.PREVIEWS, lambda body: body.upper())
    thread = threading.Thread(target=server.run)
    thread.start()
    answers = []
    try:
        with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
            channel = connection.channel()
            channel.queue_declare(
                resources.PREVIEWS.name, durable=True, arguments=resources.PREVIEWS.arguments
            )
            to = "amq.rabbitmq.reply-to"
            channel.basic_consume(to, lambda *each: answers.append(each[-1]), auto_ack=True)
            channel.basic_publish(
                "", resources.PREVIEWS.name, b"what", pika.BasicProperties(reply_to=to)
            )
            for _ in range(50):
                connection.process_data_events(0.2)
                if answers:
                    break
    finally:
        server.stopping.set()
        thread.join(20)
    assert answers == [b"WHAT"]


@pytest.mark.slow
def test_a_preview_of_sixteen_bits_has_the_values_of_the_result(previewer):
    image = data.camera()[::4, ::4].astype(np.uint16) * 16 + 300
    answer = ask(previewer, pictures.tiff(image), ({"operation": "invert"},))
    np.testing.assert_array_equal(values_of(answer.content)[1], 65_535 - image)
    mask = ask(previewer, pictures.tiff(image), ({"operation": "threshold_otsu"},), send=False)
    assert set(np.unique(values_of(mask.content)[1])) == {0, 65_535}
