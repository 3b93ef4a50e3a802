"""The ten real kinds of work of docs/real-work.md, on the page: the same results as by `dip`."""

import base64
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from cluster_worker.cli_words import parse_steps, parse_value
from cluster_worker.imagefiles import formats
from tests.real_work import WORKS
from tests.site.pages import process, row, succeeds

pytestmark = [pytest.mark.slow, pytest.mark.long]


def by_page(page):
    """Return a function that does on the page what a command of `dip` does; it returns the notes.

    The recipe comes by a link, as one that somebody has passed on.
    """

    def run(_, path, target, *words):
        recipe = {"steps": parse_steps([each for each in words if not each.startswith("--")][:1])}
        options = dict(zip(words[1::2], words[2::2], strict=True))
        write = {name.removeprefix("--"): parse_value(value) for name, value in options.items()}
        if target.name.endswith(".ome.tif"):
            write["layout"] = "ome"
        form = formats.format_of(target.name)
        recipe |= {"format": form} | ({"write": write} if write else {})
        link = base64.urlsafe_b64encode(json.dumps(recipe).encode()).decode().rstrip("=")
        page.goto("about:blank")
        page.goto(f"{page.home}#recipe={link}")
        page.get_by_label("Choose images").set_input_files(str(path))
        process(page)
        succeeds(page, path.name, 120)
        with page.expect_download() as caught:
            row(page, path.name).get_by_role("link", name=re.compile("^Download ")).click()
        Path(target).write_bytes(caught.value.path().read_bytes())
        notes = page.get_by_role("list", name="Notes on this result")
        return notes.inner_text() if notes.count() else ""

    return run


@pytest.mark.parametrize("work", WORKS, ids=[name for _, name, _, _ in WORKS])
def test_a_real_kind_of_work_has_the_same_result_on_the_page(page, tmp_path, monkeypatch, work):
    run, _, source, _ = work
    page.home = page.url
    monkeypatch.setattr("tests.cluster_worker.test_real_work.dip", by_page(page))
    run(tmp_path)
    expect(page.get_by_role("img", name=f"{source}, before").first).to_be_visible()
