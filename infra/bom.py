"""`make bom`: bills of materials (CycloneDX) of what is shipped, and a list of the licences.

For the worker's image, for the API's package, and for the site. The tool that reads the installed
packages is in an environment of its own, because nothing of the app needs it.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from config.contract.settings import TOP
from infra.package import LIBRARIES

TOOL = "cyclonedx-bom==7.5.0"
FOLDER = TOP / ".run" / "bom"
LOCK = TOP / "cluster_worker" / "requirements.lock"
SECONDS = 600

# Chalice puts itself into the package.
API = ("chalice", *LIBRARIES)
# Licences that packages state in no field.
UNSTATED = {
    # https://github.com/pmodels/mpich/blob/main/COPYRIGHT: permissive, like MIT.
    "mpich": "mpich2",
}

Document = dict[str, Any]


class BomError(Exception):
    """Why there is no bill of materials; the text is one sentence."""


def canonical(name: str) -> str:
    """Return the name of a Python package as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(lock: str) -> set[str]:
    """Return the names of the packages of a lock."""
    return {canonical(each) for each in re.findall(r"(?m)^([A-Za-z0-9._-]+)==", lock)}


def keep(document: Document, names: Iterable[str]) -> Document:
    """Return a document with some of its components alone, each with a licence.

    Raises
    ------
    BomError
        If a component is not there.
    """
    wanted = {canonical(each) for each in names}
    kept = [each for each in document["components"] if canonical(each["name"]) in wanted]
    if missing := wanted - {canonical(each["name"]) for each in kept}:
        raise BomError(f"{', '.join(sorted(missing))}: not installed in .venv; run: make check")
    for each in kept:
        stated = UNSTATED.get(canonical(each["name"]))
        if stated and not each.get("licenses"):
            each["licenses"] = [{"license": {"name": stated}}]
    references = {each["bom-ref"] for each in kept}
    dependencies = [
        {**each, "dependsOn": [other for other in each.get("dependsOn", ()) if other in references]}
        for each in document.get("dependencies", ())
        if each["ref"] in references
    ]
    return {**document, "components": kept, "dependencies": dependencies}


def licences(component: Document) -> str:
    """Return the licences of a component as one text; empty if it states none."""
    found = []
    for each in component.get("licenses", ()):
        licence = each.get("license", {})
        name = each.get("expression") or licence.get("id") or licence.get("name", "")
        found.append(name.removeprefix("License :: OSI Approved :: "))
    return ", ".join(dict.fromkeys(filter(None, found)))


def table(documents: dict[str, Document]) -> list[str]:
    """Format the licences of all components as lines, by document and name.

    Raises
    ------
    BomError
        If a component states no licence.
    """
    lines = []
    for title, document in documents.items():
        lines.append(f"{title}:")
        for each in sorted(document["components"], key=lambda each: canonical(each["name"])):
            if not (text := licences(each)):
                raise BomError(f"{each['name']}: states no licence; look it up, and add it here")
            lines.append(f"  {each['name']} {each['version']}: {text}")
    return lines


def read_environment() -> Document:
    """Read the packages installed in .venv, by the tool in its own environment."""
    tool = FOLDER / "tool"
    marker = tool / "installed"
    if not marker.is_file() or marker.read_text() != TOOL:
        run([sys.executable, "-m", "venv", "--clear", str(tool)])
        run([str(tool / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", TOOL])
        marker.write_text(TOOL)
    command = [str(tool / "bin/cyclonedx-py"), "environment", "--of", "JSON", sys.executable]
    return dict(json.loads(run(command)))


def read_site() -> Document:
    """Read what the site's pages are built from, without what only builds them."""
    command = ["npm", "sbom", "--omit=dev", "--package-lock-only", "--sbom-format=cyclonedx"]
    return dict(json.loads(run(command, TOP / "frontend")))


def run(command: Sequence[str], folder: Path = TOP) -> str:
    """Run a command and return its output.

    Raises
    ------
    BomError
        If it fails, cannot be started or takes too long.
    """
    try:
        found = subprocess.run(  # noqa: S603 - our own commands
            command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BomError(f"{' '.join(command)} failed: {error}") from error
    if found.returncode:
        raise BomError(f"{' '.join(command)} failed: {found.stderr.strip()[-500:]}")
    return found.stdout


def main() -> int:
    """Write the documents and the list; return the exit code, 1 after a sentence if one fails."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        installed = read_environment()
        documents = {
            "worker": keep(installed, locked(LOCK.read_text())),
            "api": keep(installed, API),
            "site": read_site(),
        }
        lines = table(documents)
    except BomError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for name, document in documents.items():
        (FOLDER / f"{name}.cdx.json").write_text(json.dumps(document, indent=2) + "\n")
    (FOLDER / "licences.txt").write_text("\n".join(lines) + "\n")
    numbers = ", ".join(f"{name} {len(each['components'])}" for name, each in documents.items())
    sys.stdout.write(
        f"{FOLDER.relative_to(TOP)} has the bills of materials: {numbers} components\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
