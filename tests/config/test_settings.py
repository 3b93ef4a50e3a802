import dataclasses
import tomllib
from pathlib import Path

import pytest

from config import VERSION
from config.contract.settings import (
    TOP,
    ApiSettings,
    LocalSettings,
    ServerSettings,
    SettingError,
    WorkerSettings,
    load,
    read_env_file,
)

GIVEN = {"UPLOADS_BUCKET": "uploads", "RESULTS_BUCKET": "results", "BROKER_URL": "amqp://b/"}


def test_the_example_lists_every_setting_with_its_default_and_nothing_else():
    expected = {
        each.name.upper(): "" if each.default is dataclasses.MISSING else str(each.default)
        for kind in (ApiSettings, WorkerSettings, LocalSettings, ServerSettings)
        for each in dataclasses.fields(kind)
    }
    assert read_env_file(TOP / ".env.example") == expected


def test_the_example_explains_every_setting_above_it():
    lines = (TOP / ".env.example").read_text().splitlines()
    for kind in (ApiSettings, WorkerSettings, LocalSettings, ServerSettings):
        for each in dataclasses.fields(kind):
            above = lines[
                next(i for i, x in enumerate(lines) if x.startswith(f"{each.name.upper()}=")) - 1
            ]
            assert each.metadata["help"] in above


def test_a_missing_setting_is_one_sentence():
    with pytest.raises(SettingError, match=r"^UPLOADS_BUCKET is not set; copy \.env\.example"):
        load(WorkerSettings, environment={})


def test_a_setting_of_the_wrong_type_is_one_sentence():
    with pytest.raises(SettingError, match=r"^RANKS: must be a whole number, got 'two'$"):
        load(WorkerSettings, environment=GIVEN | {"RANKS": "two"})


def test_a_room_overrides_the_top_and_the_environment_overrides_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("config.contract.settings.TOP", tmp_path)
    (tmp_path / "api").mkdir()
    (tmp_path / ".env").write_text("TABLE=top\nAWS_REGION=top\nSTEPS_MAX=5\n")
    (tmp_path / "api" / ".env").write_text("# its own\nTABLE=room\nAWS_REGION='room'\n")
    settings = load(ApiSettings, "api", GIVEN | {"TABLE": "environment"})
    assert (settings.table, settings.aws_region, settings.steps_max) == ("environment", "room", 5)


def test_a_line_that_is_no_setting_is_named(tmp_path: Path):
    (tmp_path / ".env").write_text("TABLE=a\nnonsense\n")
    with pytest.raises(SettingError, match=r"\.env:2: must read NAME=value, got 'nonsense'"):
        read_env_file(tmp_path / ".env")


def test_the_app_and_its_package_have_one_version():
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
