"""`dip`: the engine in the shell, without a server.

dip run in.png out.png gaussian sigma=2 + threshold_otsu --ranks 2
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

from cluster_worker.decoder import Decoder
from cluster_worker.engine import Engine
from cluster_worker.errors import Broken, Rejected
from cluster_worker.formats import Header, format_of
from cluster_worker.operations import catalogue

USAGE_ERROR = 2
FAILED = 1


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is."""
        self.exit(USAGE_ERROR, f"dip: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 2 for bad input, 1 for our own failure."""
    given = parser().parse_args(arguments)
    try:
        given.command(given)
    except Rejected as error:
        print(f"dip: {error}", file=sys.stderr)
        return USAGE_ERROR
    except Broken as error:
        print(f"dip: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("dip: cancelled", file=sys.stderr)
        return 130
    return 0


def parser() -> Parser:
    """Describe the commands."""
    top = Parser(prog="dip", description="scikit-image pipelines over MPI ranks")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run a chain of operations on a file",
        epilog="example: dip run in.png out.png gaussian sigma=2 + threshold_otsu --ranks 2",
    )
    run.add_argument("source", type=Path, help="image to read: JPEG, PNG or TIFF")
    run.add_argument("target", type=Path, help="image to write; its ending names the format")
    run.add_argument("steps", nargs="*", help="operation name=value … + operation …")
    run.add_argument("--recipe", type=Path, help="JSON file with the list of steps instead")
    run.add_argument("--ranks", type=int, default=0, help="MPI ranks (default: one per core)")
    run.set_defaults(command=run_file)
    operations = commands.add_parser("operations", help="list the operations, or explain one")
    operations.add_argument("name", nargs="?", help="operation to explain")
    operations.set_defaults(command=show_operations)
    return top


def run_file(given: argparse.Namespace) -> None:
    """Run a chain from file to file."""
    steps = read_recipe(given.recipe) if given.recipe else parse_steps(given.steps)
    if given.ranks < 0:
        raise Rejected(f"--ranks: must be at least 1, got {given.ranks}")
    if not given.source.is_file():
        raise Rejected(f"{given.source}: no such file")
    target = format_of(given.target.name)
    with Decoder() as decoder:
        header = decoder.read_header(given.source, given.source.name)
        with (
            Engine(given.ranks) as engine,
            engine.prepare(header.shape, header.dtype, steps) as job,
        ):
            decoder.read_pixels(given.source, header, job.source_pixels)
            with tqdm(total=1, unit="tile", leave=False, disable=None) as bar:

                def show(done: int, total: int) -> None:
                    bar.total = total
                    bar.update(done - bar.n)

                job.start(show)
                job.wait()
            save(decoder, job, given.target, target, header)


def save(decoder: Decoder, job: Any, path: Path, target: str, header: Header) -> None:
    """Write the result beside its final name first, so that no half file is ever seen."""
    partial = path.with_name(f".{path.name}.part")
    try:
        notes = decoder.write(partial, job.result_pixels, target, header)
        partial.replace(path)
    except OSError as error:
        raise Rejected(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    for note in notes:
        print(f"{path}: {note}", file=sys.stderr)


def read_recipe(path: Path) -> Any:
    """Read the steps from a JSON file."""
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise Rejected(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Rejected(f"{path}: must hold a JSON list of steps: {error}") from error


def parse_steps(words: Sequence[str]) -> list[dict[str, Any]]:
    """Read steps as typed: an operation's name, its parameters, `+` before the next.

    Raises
    ------
    Rejected
        If a word is neither.
    """
    steps: list[dict[str, Any]] = []
    expect_name = True
    for word in words:
        name, equals, text = word.partition("=")
        if word == "+":
            expect_name = True
        elif expect_name and not equals:
            steps.append({"operation": word})
            expect_name = False
        elif equals and steps and not expect_name:
            steps[-1][name] = value_of(text)
        else:
            wanted = "an operation" if expect_name else "name=value, or + before the next operation"
            raise Rejected(f"steps: expected {wanted}, got {word!r}")
    return steps


def value_of(text: str) -> Any:
    """Read a number, true, false or null; all else is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def show_operations(given: argparse.Namespace) -> None:
    """List all operations, one a line, or explain one with its parameters."""
    operations = {each["name"]: each for each in catalogue()["operations"]}
    if given.name is None:
        for name, each in operations.items():
            print(f"{name:16} {each['title']:28} {each['help'].split('.')[0]}.")
        return
    if given.name not in operations:
        raise Rejected(f"{given.name}: no operation has that name; dip operations lists them")
    each = operations[given.name]
    print(f"{each['name']} · {each['title']} ({each['group']}, {each['kind']})\n{each['help']}")
    print(f"As {each['source']}.")
    for name, schema in each["parameters"]["properties"].items():
        print(f"  {name}={json.dumps(schema['default'])}  {range_of(schema)}")
        print(f"      {schema['description']}")


def range_of(schema: dict[str, Any]) -> str:
    """Say which values a parameter takes."""
    if "enum" in schema:
        return " | ".join(schema["enum"])
    if "minimum" in schema:
        return f"{schema['minimum']} to {schema['maximum']} {schema.get('x-unit', '')}".rstrip()
    return "true | false"


if __name__ == "__main__":
    sys.exit(main())
