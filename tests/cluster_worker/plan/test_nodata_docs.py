"""The page on pixels without data names the operations that have no rule for them."""

from tests import nodata_list


def test_the_page_lists_the_operations_without_a_rule():
    assert nodata_list.FILE.read_text() == nodata_list.as_text(), "run: make generate"
