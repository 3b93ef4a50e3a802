"""`dip run` on a folder: its bar, its sentences and its exit code."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cluster_worker.cli_output import output_of
from cluster_worker.engine.engine import Engine
from cluster_worker.engine.folders import JOURNAL, Outcome
from cluster_worker.engine.run_folder import FolderOptions, FolderReport, Progress, run_folder
from cluster_worker.errors import Broken, Rejected
from cluster_worker.objects.store import is_address
from cluster_worker.pixels.stack import Choice


class Bar(Progress):
    """A bar that counts files, with one line for each that fails or lost something."""

    def __init__(self) -> None:
        self.bar: tqdm[Any] = tqdm(unit="file", leave=False, disable=None)

    def begin(self, files: int, before: int) -> None:
        """Show how many files there are, with those that were done before."""
        self.bar.reset(total=files + before)
        self.bar.update(before)

    def done(self, outcome: Outcome) -> None:
        """Count a file."""
        self.bar.update()
        if outcome.error:
            tqdm.write(f"dip: {outcome.error}", file=sys.stderr)
        for note in outcome.notes:
            tqdm.write(f"{outcome.image}: {note}", file=sys.stderr)

    def close(self) -> None:
        """Remove the bar."""
        self.bar.close()


def check_many(options: argparse.Namespace, inputs: Mapping[str, Path | str]) -> None:
    """Check that all options are for a folder of images; raises Rejected."""
    for name in ("plan", "table"):
        if getattr(options, name):
            raise Rejected(f"--{name}: is for one image; {options.source} holds many")
    if options.target and is_address(options.target):
        raise Rejected(
            f"{options.target}: must be a folder of this host, since {options.source} holds many "
            "files; copy the results from there"
        )
    for name, each in inputs.items():
        if is_address(each):
            raise Rejected(
                f"--input: {name} must be a file of this host for a folder; fetch {each} first"
            )


def run_files(
    engine: Engine,
    options: argparse.Namespace,
    steps: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, Path | str],
    choice: Choice,
) -> None:
    """Run a recipe on the files of a folder, and say what became of them.

    Raises
    ------
    Rejected, Broken
        At the end, if a file has no result: `Broken` if none of the files is at fault.
    """
    files = {name: Path(each) for name, each in inputs.items()}
    how = options.format, options.depth, options.metadata, files, choice
    output = output_of(options)
    given = FolderOptions(
        steps, *how, output.quality, options.across, output._replace(quality=None)
    )
    bar = Bar()
    try:
        source, target = str(options.source), options.target
        report = run_folder(engine, source, target, given, bar, again=options.again)
    finally:
        bar.close()
    said = summary(report, target)
    if report.failed:
        ours = all(each.ours for each in report.failed)
        raise (Broken if ours else Rejected)(f"{said}; {target / JOURNAL} says which")
    print(said, file=sys.stderr)


def summary(report: FolderReport, target: Path) -> str:
    """Return in one sentence what became of a folder."""
    parts = [f"{counted(len(report.written))} written to {target}"]
    if report.before:
        parts.append(f"{report.before} were there already")
    if report.failed:
        parts.append(f"{len(report.failed)} failed")
    if report.tables:
        parts.append(f"the rows of all images are in {', '.join(map(str, report.tables))}")
    return ", ".join(parts)


def counted(files: int) -> str:
    """Return a number of results as text."""
    return f"{files:,} result{'' if files == 1 else 's'}"
