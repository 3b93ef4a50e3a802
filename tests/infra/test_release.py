"""A release: its number, its changes and its tag, in a checkout of its own."""

from datetime import date

import pytest

from config import VERSION
from config.contract.settings import TOP
from infra.release import CHANGELOG, PLACES, ReleaseError, current, git, release

TODAY = date(2027, 1, 2)


@pytest.fixture
def checkout(tmp_path):
    for name in (*PLACES, CHANGELOG):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((TOP / name).read_text())
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "user.email", "ops@example.org")
    git(tmp_path, "config", "user.name", "ops")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Begin")
    return tmp_path


def texts(folder):
    return {name: (folder / name).read_text() for name in (*PLACES, CHANGELOG)}


def test_all_files_name_one_version():
    assert current(texts(TOP)) == VERSION


def test_a_release_has_its_number_its_section_and_its_tag(checkout):
    before = texts(checkout)
    release("7.0.0", checkout, TODAY)
    after = texts(checkout)
    assert current(after) == "7.0.0"
    head, _, rest = after[CHANGELOG].partition("## 7.0.0 (2027-01-02)\n")
    # What was unreleased is now the release's, and what comes next has an empty section.
    assert head.endswith("## Unreleased\n\n")
    assert rest == before[CHANGELOG].partition("## Unreleased\n")[2]
    assert git(checkout, "describe", "--tags") == "v7.0.0"
    assert git(checkout, "log", "--format=%s", "-1") == "Release 7.0.0"
    assert git(checkout, "status", "--porcelain") == ""


def test_what_cannot_be_released_is_one_sentence_and_changes_nothing(checkout):
    before = texts(checkout)
    for version, sentence in (
        ("7.0", "VERSION: must be three numbers such as 1.2.0, got '7.0'"),
        ("", "VERSION: must be three numbers such as 1.2.0, got ''"),
        (VERSION, f"VERSION: must be larger than {VERSION}, got {VERSION}"),
    ):
        with pytest.raises(ReleaseError) as caught:
            release(version, checkout, TODAY)
        assert str(caught.value) == sentence
    (checkout / "new.txt").touch()
    with pytest.raises(ReleaseError, match=r"has changes, such as \?\? new\.txt; commit"):
        release("7.0.0", checkout, TODAY)
    (checkout / "new.txt").unlink()
    git(checkout, "tag", "v7.0.0")
    with pytest.raises(ReleaseError, match=r"the tag v7\.0\.0 is there already"):
        release("7.0.0", checkout, TODAY)
    assert texts(checkout) == before


def test_a_commit_that_fails_leaves_the_checkout_as_it_was(checkout):
    before, hook = texts(checkout), checkout / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(ReleaseError, match="git commit"):
        release("7.0.0", checkout, TODAY)
    assert texts(checkout) == before
    assert git(checkout, "status", "--porcelain") == ""


def test_there_is_no_release_without_changes(checkout):
    release("7.0.0", checkout, TODAY)
    with pytest.raises(ReleaseError, match="nothing stands under '## Unreleased'"):
        release("7.0.1", checkout, TODAY)
