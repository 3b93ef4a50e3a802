"""Bills of materials: what is shipped, no more, and each component with its licence."""

import pytest

from config.contract.settings import TOP
from infra import bom
from infra.bom import BomError


def component(name, *stated):
    return {"name": name, "version": "1", "bom-ref": f"{name}==1", "licenses": list(stated)}


MIT = {"license": {"id": "MIT"}}
INSTALLED = {
    "specVersion": "1.6",
    "components": [component("Pillow", {"expression": "MIT-CMU"}), component("pytest", MIT)],
    "dependencies": [{"ref": "Pillow==1", "dependsOn": ["pytest==1"]}, {"ref": "pytest==1"}],
}


def test_only_what_is_shipped_is_kept():
    kept = bom.keep(INSTALLED, ["pillow"])
    assert [each["name"] for each in kept["components"]] == ["Pillow"]
    assert kept["dependencies"] == [{"ref": "Pillow==1", "dependsOn": []}]
    assert kept["specVersion"] == "1.6"


def test_what_is_shipped_and_not_installed_is_one_sentence():
    with pytest.raises(BomError, match=r"^numba: not installed in \.venv; run: make check$"):
        bom.keep(INSTALLED, ["Pillow", "numba"])


def test_a_tool_that_cannot_be_started_or_takes_too_long_is_one_sentence(monkeypatch):
    with pytest.raises(BomError, match=r"^no-such-tool a failed: "):
        bom.run(["no-such-tool", "a"])
    monkeypatch.setattr(bom, "SECONDS", 0.01)
    with pytest.raises(BomError, match=r"^sleep 5 failed: .* timed out"):
        bom.run(["sleep", "5"])


def test_licences_are_told_in_one_way():
    classified = {"license": {"name": "License :: OSI Approved :: BSD License"}}
    assert bom.licences(component("a", MIT, classified, MIT)) == "MIT, BSD License"
    assert bom.table({"worker": bom.keep(INSTALLED, ["pillow"])}) == [
        "worker:",
        "  Pillow 1: MIT-CMU",
    ]


def test_a_component_without_a_licence_is_not_passed_over():
    with pytest.raises(BomError, match=r"^odd: states no licence"):
        bom.table({"worker": {"components": [component("odd")]}})
    mpich = {"components": [component("mpich")]}
    assert bom.table({"worker": bom.keep(mpich, ["mpich"])})[-1] == "  mpich 1: mpich2"


def test_the_worker_ships_what_its_lock_names():
    names = bom.locked((TOP / "cluster_worker" / "requirements.lock").read_text())
    assert {"numpy", "mpi4py", "opencv-python-headless"} <= names
    assert not {"pytest", "moto", "pip"} & names
