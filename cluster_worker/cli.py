"""`dip`: the engine in the shell, without a server.

dip run in.png out.png gaussian sigma=2 + threshold_otsu --ranks 2
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any, NoReturn

from tqdm import tqdm

from cluster_worker.cli_folder import check_many, run_files
from cluster_worker.cli_hosts import add_agent, add_hosts, hosts_lines, hosts_of
from cluster_worker.cli_output import add_output, output_of
from cluster_worker.cli_planes import add_across, add_choice, choice_of
from cluster_worker.cli_tables import operations_in, show_presets, targets
from cluster_worker.cli_words import duration, mib, parse_inputs, parse_steps, place, read_recipe
from cluster_worker.engine.engine import Engine
from cluster_worker.engine.file_results import check_output
from cluster_worker.engine.file_to_file import RunOptions, check_paths, open_file
from cluster_worker.engine.folders import is_folder
from cluster_worker.engine.run_file import PIXELS_MAX
from cluster_worker.engine.run_stack import AnyFile, StackFile
from cluster_worker.errors import Broken, Rejected
from cluster_worker.imagefiles.codecs.zarr_store import is_zarr_folder
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.describe import description
from cluster_worker.imagefiles.planes import choose_planes, read_plane_header
from cluster_worker.imagefiles.records import WRITTEN, titles
from cluster_worker.objects.images import ObjectFile
from cluster_worker.objects.store import is_address
from cluster_worker.operations import OPERATIONS, catalogue
from cluster_worker.plan.cost import estimate
from cluster_worker.plan.passes import Plan
from cluster_worker.plan.rates import MEASURED
from cluster_worker.plan.recipe import RecipePlan
from config.contract.presets import presets

USAGE_ERROR = 2
FAILED = 1

# A week, in effect no limit: the user of a shell presses Ctrl-C when a job takes too long.
JOB_SECONDS_MAX = 7 * 24 * 3600.0


class Parser(argparse.ArgumentParser):
    """An argument parser that reports an error in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and where help is, and exit with code 2."""
        self.exit(USAGE_ERROR, f"dip: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Returns
    -------
    int
        0 for success, 1 for our own failure, 2 for bad input, 130 after Ctrl-C or SIGTERM.
    """
    options = parse(arguments)
    # Batch systems end a job by SIGTERM. It must remove gigabytes of scratch files as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options.command(options)
    except Rejected as error:
        print(f"dip: {error}", file=sys.stderr)
        return USAGE_ERROR
    except (Broken, OSError) as error:
        # OSError: for example no room for a journal, or shared memory that others use.
        print(f"dip: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("dip: cancelled", file=sys.stderr)
        return 130
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the words of the command line; options may stand before the steps or after them."""
    commands = parser()
    options, others = commands.parse_known_args(arguments)
    if others and (others[0].startswith("-") or "steps" not in options or options.steps):
        commands.error(f"unrecognized arguments: {' '.join(others)}")
    if "steps" in options:
        words = [*([options.target] if options.target else []), *options.steps, *others]
        # A recipe that gives a table needs no target: then its first word is an operation.
        has_target = bool(words) and words[0].partition(" ")[0] not in OPERATIONS
        options.target = place(words[0]) if has_target else None
        options.steps = words[has_target:]
    return options


def parser() -> Parser:
    """Return the parser of all commands."""
    top = Parser(prog="dip", description="scikit-image pipelines over MPI ranks")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run a chain of operations on a file, or on all files of a folder",
        epilog="example: dip run in.png out.png gaussian sigma=2 + threshold_otsu --ranks 2",
    )
    run.add_argument(
        "source",
        type=place,
        help=f"image to read, a file or s3://bucket/key: {titles()}; or a folder of images, or a "
        "pattern between quotation marks: 'scans/**/*.tif'",
    )
    run.add_argument(
        "target",
        nargs="?",
        help="image to write, a file or s3://bucket/key; its ending names the format; not needed "
        "with --table. For many images, a folder: a run that was ended goes on where it was",
    )
    run.add_argument(
        "steps",
        nargs="*",
        help="operation name=value … + operation …; as=ID names a step, keep writes its result too",
    )
    run.add_argument("--recipe", type=Path, help="JSON file with the list of steps instead")
    run.add_argument(
        "--preset", choices=list(presets()), help="a ready-made recipe instead; dip presets"
    )
    run.add_argument("--table", type=Path, metavar="CSV", help="where the recipe's table goes")
    run.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="another image, a file or s3://bucket/key, which steps read as input:NAME; may be "
        "given several times",
    )
    run.add_argument("--ranks", type=int, default=0, help="MPI ranks (default: one per core)")
    run.add_argument(
        "--depth",
        choices=("input", "native"),
        default="input",
        help="input: back in the image's bit depth (default); native: scikit-image's own values",
    )
    run.add_argument(
        "--metadata",
        choices=("keep", "strip"),
        default="keep",
        help="keep: what the image carries and is still true (default); strip: only what a "
        "picture needs to look as it does",
    )
    run.add_argument(
        "--format",
        choices=("same", *WRITTEN),
        default="same",
        help="of the results of a folder: same as each file (default), or one for all",
    )
    run.add_argument(
        "--again",
        action="store_true",
        help="make all results of a folder anew, also those that are there already",
    )
    add_choice(run)
    add_across(run)
    add_output(run)
    add_hosts(run)
    run.add_argument("--plan", action="store_true", help="say what it would take, and do nothing")
    run.set_defaults(command=run_file)
    add_agent(commands)
    info = commands.add_parser("info", help="say what an image file is and what it carries")
    info.add_argument(
        "source", type=place, help=f"image to describe, a file or s3://bucket/key: {titles()}"
    )
    add_choice(info)
    info.set_defaults(command=show_info)
    ready = commands.add_parser("presets", help="list the ready-made recipes")
    ready.set_defaults(command=show_presets)
    operations = commands.add_parser("operations", help="list the operations, or explain one")
    operations.add_argument("name", nargs="?", help="operation to explain")
    operations.set_defaults(command=show_operations)
    return top


def run_file(options: argparse.Namespace) -> None:
    """Run a chain from file to file, or print its plan with ``--plan``."""
    steps = steps_of(options)
    if options.ranks < 0:
        raise Rejected(f"--ranks: must be at least 1, got {options.ranks}")
    inputs = parse_inputs(options.input)
    many = not is_address(options.source) and is_folder(options.source)
    if many:
        check_many(options, inputs)
    with targets(options, steps) as target:
        if not many:
            if options.format != "same":
                raise Rejected(f"--format: is for a folder; the ending of {target} names it")
            if options.again:
                raise Rejected(f"--again: is for a folder; the file {target} is always made anew")
            check_output(output_of(options), check_paths(options.source, target, inputs))
        run_steps(options, steps, target, inputs, many=many)


def steps_of(options: argparse.Namespace) -> Any:
    """Return the steps that the command line gives, in one of three ways; they are not checked.

    Raises
    ------
    Rejected
        If it gives them in two ways.
    """
    ways = {"--recipe": options.recipe, "--preset": options.preset, "steps": options.steps}
    given = [name for name, value in ways.items() if value]
    if len(given) > 1:
        raise Rejected(f"{given[0]}: give either {' or '.join(given)}")
    if options.preset:
        return presets()[options.preset]["steps"]
    return read_recipe(options.recipe) if options.recipe else parse_steps(options.steps)


def run_steps(
    options: argparse.Namespace,
    steps: Any,
    target: Path | str,
    inputs: dict[str, Path | str],
    *,
    many: bool,
) -> None:
    """Run steps on a file or on all files of a folder, or print their plan with ``--plan``."""
    choice = choice_of(options)
    warm = operations_in(steps)
    hosts = hosts_of(options)
    seconds = JOB_SECONDS_MAX
    with Engine(options.ranks, job_seconds_max=seconds, warm=warm, hosts=hosts) as engine:
        if many:
            run_files(engine, options, steps, inputs, choice)
            return
        if options.plan:
            across = options.across
            known = {"depth": options.depth, "inputs": inputs, "choice": choice}
            how = RunOptions(**known, output=output_of(options), across=across)
            with open_file(engine, options.source, target, steps, how) as file:
                if isinstance(file, StackFile):
                    print(f"{file.stack.planes} planes, each as the first one:")
                show_plan(file, engine, len(hosts.names) if hosts else 0)
            return
        with tqdm(total=1, leave=False, disable=None) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            notes = engine.run_file(
                options.source,
                target,
                steps,
                show,
                depth=options.depth,
                metadata=options.metadata,
                inputs=inputs,
                choice=choice,
                across=options.across,
                output=output_of(options),
            )
    # Without a target, the image is removed.
    for note in notes if options.target else ():
        print(f"{target}: {note}", file=sys.stderr)


def show_plan(file: AnyFile, engine: Engine, hosts: int = 0) -> None:
    """Print one line for each pass of a job, then its memory and its estimated time.

    Of a run over hosts, also what each of them reads and writes, and times for several numbers.
    """
    planned, ranks = file.job.plan, engine.ranks
    shared = ranks if file.job.task.wide or hosts else 1
    where = "on disk" if file.is_streamed else "in shared memory"
    where = "in the store" if hosts else where
    if isinstance(planned, RecipePlan):
        show_chains(planned, shared, where)
    else:
        show_passes(planned, shared)
    method = "by windows of the file" if file.is_streamed else "in memory"
    print(
        f"{method}, on {shared} of {ranks} ranks; about {mib(planned.rank_bytes(shared))} in each "
        f"rank, {mib(sum(planned.slots()))} between passes {where}"
    )
    if hosts:
        print("\n".join(hosts_lines(planned, ranks, hosts, engine.job_memory_bytes_max)))
        return
    cores = len(os.sched_getaffinity(0))
    print(
        f"about {duration(estimate(planned, shared, cores, MEASURED).seconds)}, files not counted"
    )


def show_chains(planned: RecipePlan, ranks: int, where: str) -> None:
    """Print what each chain of a recipe reads and leaves, and a line for each of its passes."""
    names = planned.names
    for number, each in enumerate(planned.chains, start=1):
        read = ", ".join(dict.fromkeys(names[surface] for surface in each.reads))
        leaves = f"gives the table {each.table}" if each.table else f"writes {each.name}"
        if each.surface is not None:
            size = mib(each.pixels.nbytes)
            leaves = f"leaves {each.name} of {each.pixels.dtype}, {size} {where}"
        print(f"chain {number}: reads {read}; {leaves}")
        show_passes(each.plan, ranks, indent="  ")


def show_passes(planned: Plan, ranks: int, indent: str = "") -> None:
    """Print a line for each pass of a chain."""
    for number, each in enumerate(planned.passes, start=1):
        names = " + ".join(stage.name or "copy" for stage in each.stages)
        height, width = planned.core_of(each, ranks)
        print(
            f"{indent}pass {number}: {names}; {planned.tile_count(each, ranks)} tiles of up to "
            f"{height} × {width} pixels, halo {each.halo}"
        )


def show_info(options: argparse.Namespace) -> None:
    """Print what an image file is: a line for each property that it has."""
    source = options.source
    if not is_address(source) and not source.is_file() and not is_zarr_folder(source):
        raise Rejected(f"{source}: no such file")
    with ExitStack() as stack:
        path = source
        if is_address(source):
            # Of a TIFF, only its directories are fetched.
            path = stack.enter_context(ObjectFile(source, Path(gettempdir()))).copy.path
        decoder = stack.enter_context(Decoder(PIXELS_MAX))
        planes = choose_planes(decoder.read_header(path, Path(source).name), choice_of(options))
        header = read_plane_header(decoder, path, planes, 0)
    if planes.stack is None:
        header = replace(header, parts=planes.whole.parts)
    for name, value in description(header, planes.stack):
        print(f"{name:12} {value}")


def show_operations(options: argparse.Namespace) -> None:
    """Print all operations, one per line, or one operation with its parameters."""
    operations = {each["name"]: each for each in catalogue()["operations"]}
    if options.name is None:
        for name, each in operations.items():
            print(f"{name:28} {each['kind']:12} {each['title']}: {each['help'].split('. ')[0]}")
        return
    if options.name not in operations:
        raise Rejected(f"{options.name}: no operation has that name; dip operations lists them")
    each = operations[options.name]
    print(f"{each['name']} · {each['title']} ({each['group']}, {each['kind']})\n{each['help']}")
    print(f"As {each['source']}.")
    for name, schema in each["parameters"]["properties"].items():
        print(f"  {name}={json.dumps(schema['default'])}  {range_of(schema)}")
        print(f"      {schema['description']}")
    for name, found in each.get("inputs", {}).items():
        need = "needed" if found["required"] else "may be left out"
        print(f"  {name}=ID  {found['takes']}: an id, original or input:NAME; {need}")
        print(f"      {found['description']}")


def range_of(schema: dict[str, Any]) -> str:
    """Return the values that a parameter may have, as text."""
    if "enum" in schema:
        return " | ".join(schema["enum"])
    limits = schema.get("items", schema)
    if "enum" in limits:
        return f"list of {' | '.join(limits['enum'])}"
    if "minimum" in limits:
        span = f"{limits['minimum']} to {limits['maximum']} {schema.get('x-unit', '')}".rstrip()
        return f"list of {span}" if "items" in schema else span
    return "true | false"


if __name__ == "__main__":
    sys.exit(main())
