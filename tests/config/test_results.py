import pytest

from config.contract.results import Result, from_text, result_steps, to_text

OPERATIONS = {"blur": {}, "label": {"gives": "image"}, "count": {"gives": "table"}}


def found(*steps):
    listed = result_steps([{"operation": name, **words} for name, words in steps], OPERATIONS)
    return [(each.id, each.name, each.kind, each.is_last_image) for each in listed]


@pytest.mark.parametrize(
    ("steps", "results"),
    [
        ([("blur", {})], [("1", "", "image", True)]),
        ([("blur", {}), ("label", {"id": "a"})], [("a", "", "image", True)]),
        (
            [("blur", {"id": "a", "keep": True}), ("label", {})],
            [("a", "a", "image", False), ("2", "", "image", True)],
        ),
        ([("blur", {"id": "a", "keep": True})], [("a", "a", "image", True)]),
        (
            [("label", {}), ("count", {}), ("count", {"id": "b"})],
            [("1", "", "image", True), ("2", "count", "table", False), ("b", "b", "table", False)],
        ),
        (
            [("count", {}), ("blur", {})],
            [("1", "count", "table", False), ("2", "", "image", True)],
        ),
        ([("count", {})], [("original", "", "image", True), ("1", "count", "table", False)]),
    ],
)
def test_results_are_the_last_image_kept_images_and_tables_in_the_order_of_steps(steps, results):
    assert found(*steps) == results


def test_results_survive_the_row():
    columns = (("area", "px²"), ("label", ""))
    results = [
        Result("1", "label", "image", "k", "a.png", "image/png", 3),
        Result("t", "count", "table", "l", "a_t.csv", "text/csv", 9, 2, columns),
        Result("u", "count", "table", "m", "a_u.csv", "text/csv", 9, pixel_size=(1e-6, 2e-6)),
    ]
    assert from_text(to_text(results)) == results
    assert from_text("") == []
