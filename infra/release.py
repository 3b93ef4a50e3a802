"""`make release VERSION=1.2.0`: give the next release its number, its changes and its tag.

It writes the number where it stands, gives the section "Unreleased" of CHANGELOG.md its name and
date, commits and tags. Nothing is pushed and nothing is built: it says what to do next.
"""

import re
import subprocess
import sys
from datetime import date
from pathlib import Path

from config.contract.settings import TOP

NUMBER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
# The files that hold the number, each with the line that does.
PLACES = {
    "config/__init__.py": 'VERSION = "{}"\n',
    "pyproject.toml": 'version = "{}"\n',
}
CHANGELOG = "CHANGELOG.md"
UNRELEASED = "## Unreleased\n"


class ReleaseError(Exception):
    """Why there can be no such release; the text is one sentence."""


def release(version: str, top: Path, today: date) -> None:
    """Write, commit and tag a release.

    Parameters
    ----------
    version : str
        Of the release, such as ``1.2.0``.
    top : Path
        The checkout.
    today : date
        Of the release.

    Raises
    ------
    ReleaseError
        If the number is not larger than the last one, the checkout has changes, the tag exists, or
        there is nothing to release, or the commit fails. Nothing is changed then.
    """
    texts = {name: (top / name).read_text() for name in (*PLACES, CHANGELOG)}
    check_number(version, texts)
    check_checkout(version, top)
    changed = {
        name: texts[name].replace(line.format(current(texts)), line.format(version), 1)
        for name, line in PLACES.items()
    }
    changed[CHANGELOG] = name_section(texts[CHANGELOG], version, today)
    for name, text in changed.items():
        (top / name).write_text(text)
    try:
        git(top, "commit", "--quiet", "--message", f"Release {version}", "--", *changed)
    except BaseException:
        for name in changed:
            (top / name).write_text(texts[name])
        raise
    git(top, "tag", "--annotate", "--message", f"Release {version}", f"v{version}")


def current(texts: dict[str, str]) -> str:
    """Return the number of the last release.

    Raises
    ------
    ReleaseError
        If the files do not name the same.
    """
    found = set()
    for name, line in PLACES.items():
        pattern = re.escape(line).replace(re.escape("{}"), "(.+)")
        found.update(re.findall(f"(?m)^{pattern}", texts[name])[:1])
    if len(found) != 1:
        raise ReleaseError(f"{' and '.join(PLACES)} must name the same version, got {found}")
    return str(found.pop())


def check_number(version: str, texts: dict[str, str]) -> None:
    """Raise ReleaseError if a number is none, or is not larger than the last one."""
    if not NUMBER.fullmatch(version):
        raise ReleaseError(f"VERSION: must be three numbers such as 1.2.0, got {version!r}")
    before = current(texts)
    if parts(version) <= parts(before):
        raise ReleaseError(f"VERSION: must be larger than {before}, got {version}")


def parts(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, which compare as versions do."""
    return tuple(map(int, version.split(".")))


def check_checkout(version: str, top: Path) -> None:
    """Raise ReleaseError if the checkout has changes, or has the tag already."""
    if changes := git(top, "status", "--porcelain"):
        first = changes.splitlines()[0].strip()
        raise ReleaseError(f"the checkout has changes, such as {first}; commit them first")
    if git(top, "tag", "--list", f"v{version}"):
        raise ReleaseError(f"the tag v{version} is there already")


def name_section(changelog: str, version: str, today: date) -> str:
    """Give the section of what is unreleased its number and date, and begin an empty one.

    Raises
    ------
    ReleaseError
        If there is no such section, or nothing is in it.
    """
    before, found, after = changelog.partition(UNRELEASED)
    if not found or not after.partition("\n## ")[0].strip():
        raise ReleaseError(f"{CHANGELOG}: nothing stands under {UNRELEASED.strip()!r}")
    return f"{before}{UNRELEASED}\n## {version} ({today})\n{after}"


def git(top: Path, *arguments: str) -> str:
    """Run git in a checkout and return its output.

    Raises
    ------
    ReleaseError
        If it fails.
    """
    found = subprocess.run(  # noqa: S603 - our own command
        ["git", "-C", str(top), *arguments],  # noqa: S607
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if found.returncode:
        raise ReleaseError(f"git {arguments[0]}: {found.stderr.strip()}")
    return found.stdout.strip()


def main(arguments: list[str]) -> int:
    """Make a release; return the exit code, 1 after a sentence if that is not possible."""
    version = arguments[0] if arguments else ""
    try:
        release(version, TOP, date.today())
    except ReleaseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(
        f"released {version}: committed, and tagged v{version}. Next: git push --follow-tags; "
        "make image; make deploy\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
