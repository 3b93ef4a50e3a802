"""What a visitor does on the page, in a few words."""

import re
import sys

from playwright.sync_api import expect

from config.contract.settings import TOP

AXE = TOP / "frontend" / "node_modules" / "axe-core" / "axe.min.js"


def row(page, name):
    """Find an image's row."""
    return page.locator(f'[data-name="{name}"]')


def choose(page, *files):
    """Choose files of (name, type, content)."""
    page.get_by_label("Choose images").set_input_files(
        [{"name": name, "mimeType": kind, "buffer": content} for name, kind, content in files]
    )


def add_filter(page, title):
    """Pick a filter by its title."""
    page.get_by_role("button", name="Add filter").click()
    page.get_by_label("Search filters").fill(title)
    page.get_by_role("button", name=re.compile(f"^{title}")).first.click()


def process(page):
    """Press the main button."""
    page.get_by_role("button", name=re.compile(r"^Process \d+ images?$|^Process image$")).click()


def filters(page):
    """List the titles of the chain."""
    return page.locator("legend").all_inner_texts()


def succeeds(page, name, seconds=60):
    """Wait until an image is done."""
    state = ("data-job-state", "succeeded")
    expect(row(page, name)).to_have_attribute(*state, timeout=1000 * seconds)


def findings(page):
    """Ask axe what is wrong, after all that moves has come to rest."""
    page.wait_for_timeout(300)
    # Through the debugger: the page's policy lets no script of strangers in.
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (each["id"], [node["html"][:120] for node in each["nodes"][:3]])
        for each in found["violations"]
    ]


def close(page):
    """End a page; an answer that a test's route has in hand then reaches nobody."""
    page.unroute_all(behavior="ignoreErrors")
    page.context.close()


def complaints_of(page):
    """Note what the console names as errors and warnings, broken policies among them."""
    complaints = []

    def note(message):
        if message.type in ("error", "warning"):
            complaints.append(f"{message.text} ({message.location['url']})")

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


def tell(line):
    """Print a figure, for whoever runs the tests with -s or -rP."""
    sys.stdout.write(f"{line}\n")
