"""What a visitor does on the page, as short functions."""

import re
import sys
import time

from playwright.sync_api import expect

from config.contract.settings import TOP

AXE = TOP / "frontend" / "node_modules" / "axe-core" / "axe.min.js"


def row(page, name):
    """Return the row of an image."""
    return page.locator(f'[data-name="{name}"]')


def choose(page, *files):
    """Choose files, each given as (name, type, content)."""
    page.get_by_label("Choose images").set_input_files(
        [{"name": name, "mimeType": kind, "buffer": content} for name, kind, content in files]
    )


def add_filter(page, title):
    """Pick a filter by its title."""
    page.get_by_role("button", name="Add filter").click()
    page.get_by_label("Search filters").fill(title)
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=re.compile(f"^{re.escape(title)}")).first.click()


def move_up(page, title):
    """Move a filter one place up by its menu."""
    page.get_by_role("button", name=f"More for {title}").click()
    page.get_by_role("button", name=f"Move {title} up").click()


def process(page):
    """Press the main button."""
    page.get_by_role("button", name=re.compile(r"^Process \d+ images?$|^Process image$")).click()


def filters(page):
    """Return the titles of the filters in the chain."""
    # The cards come with a part of the page that is loaded while it is idle.
    page.locator(".step legend").first.wait_for()
    return page.locator(".step legend").all_inner_texts()


def succeeds(page, name, seconds=60):
    """Wait until an image is done."""
    state = ("data-job-state", "succeeded")
    expect(row(page, name)).to_have_attribute(*state, timeout=1000 * seconds)


def until(page, holds, words, seconds=60):
    """Wait until a condition holds, while the page goes on; fail with words."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not in {seconds} s: {words}"
        page.wait_for_timeout(200)


def pointed(page, across, down):
    """Point at the stage until the page is at rest; return place and values, as the page says them.

    The layout may move below the pointer, and values come from the service: what is said once may
    be another pixel's.

    Returns
    -------
    tuple of int
        Column and row.
    list of str
        The values of each picture.
    """
    found, before = None, ""
    for step in range(120):
        box = page.locator(".stage").bounding_box()
        page.mouse.move(box["x"] + across - 1 + 2 * (step % 2), box["y"] + down)
        page.mouse.move(box["x"] + across, box["y"] + down)
        page.wait_for_timeout(150)
        line = page.locator(".pixel").evaluate(
            "each => [each.innerText, [...each.querySelectorAll('b')].map(b => b.innerText)]"
        )
        place = re.search(r"x (\d+)\s+y (\d+)", line[0])
        if place and line == before and "…" not in line[0]:
            found = (int(place[1]), int(place[2])), line[1]
            break
        before = line
    assert found, f"the page never came to rest: {before}"
    return found


# What axe looks for: in a state as it first is, in other colours, and in another size of window.
EVERYTHING = {}
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
LAYOUT = {"rules": {"color-contrast": {"enabled": False}}}


def findings(page, rules=EVERYTHING):
    """Return what axe finds wrong, once all animations have ended."""
    page.wait_for_timeout(300)
    # Evaluated through the debugger, since the page's policy allows no foreign scripts.
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    found = page.evaluate(
        "options => axe.run(document, options)", {"resultTypes": ["violations"], **rules}
    )
    return [
        (each["id"], [node["html"][:120] for node in each["nodes"][:3]])
        for each in found["violations"]
    ]


def close(page):
    """Close a page; answers that a test's route still waits for are dropped."""
    page.unroute_all(behavior="ignoreErrors")
    page.context.close()


def complaints_of(page):
    """Collect the errors and warnings of the console, violated policies among them."""
    complaints = []

    def note(message):
        if message.type in ("error", "warning"):
            complaints.append(f"{message.text} ({message.location['url']})")

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


def print_figure(line):
    """Print a figure; pytest shows it with -s or -rP."""
    sys.stdout.write(f"{line}\n")
