"""The API's folder as it is packaged."""

import pytest

from infra import package


def test_packaging_without_the_catalogue_says_what_to_run(tmp_path, monkeypatch):
    for folder in ("api", "config"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(package, "TOP", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"catalogue\.json .*run: infra/local/setup\.sh"):
        package.stage(tmp_path / "staged")
