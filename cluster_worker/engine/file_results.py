"""The results of a job from file to file: their formats, and what they carry of the source."""

from dataclasses import dataclass, replace
from pathlib import Path

from cluster_worker.engine.folders import ending_of
from cluster_worker.engine.tables import Table
from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.carry import Metadata, Outcome, carried
from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.imagefiles.formats import FORMATS, check_result
from cluster_worker.imagefiles.output import QUALITIES, USUAL, Output, coding, unfit
from cluster_worker.imagefiles.streams import Spool
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.pixels.stack import Stack
from cluster_worker.plan.passes import Plan
from cluster_worker.plan.recipe import pixel_size
from config.contract.writing import OPTIONS, fault

# Formats that change pixels.
LOSSY = ("jpeg", "avif")
# What an option is if it was not chosen.
DEFAULTS = USUAL._asdict()


@dataclass(frozen=True)
class FileResult:
    """An image that a job writes to a file.

    Attributes
    ----------
    format : str
        Name of the format.
    header : Header
        What it is and carries.
    notes : tuple of str
        One sentence for each property of the source that it could not keep.
    spool : Spool or None
        Where its tiles lie until the file is assembled; None if they do not lie on this host's
        disk.
    stored : bool
        Whether its tiles lie in a store.
    """

    format: str
    header: Header
    notes: tuple[str, ...]
    spool: Spool | None = None
    stored: bool = False


def check_output(output: Output, format: str) -> None:
    """Check how results of a format are to be written.

    Parameters
    ----------
    output : Output
        As for `FileJob`.
    format : str
        Name of a format. Under "same" all may be chosen, and results in a format that an option is
        not for ignore it.

    Raises
    ------
    Rejected
        If a value is none of its option, or options do not go with the format or with each other.
    """
    chosen = {name: each for name, each in output._asdict().items() if each != DEFAULTS[name]}
    for name, each in chosen.items():
        check_value(name, each)
    in_jpeg = format == "tiff" and output.compression == "jpeg"
    if output.quality is not None and format != "same" and not in_jpeg:
        check_quality(format)
    name, why = fault(format, chosen)
    if name:
        raise Rejected(f"{name}: {why}")


def check_quality(format: str) -> None:
    """Check that results of a format have a quality; raises Rejected if they have none."""
    if FORMATS[format].has_quality:
        return
    *others, last = (each.title for each in FORMATS.values() if each.has_quality)
    raise Rejected(
        f"quality: is for {', '.join(others)} and {last}; {FORMATS[format].title} is written "
        "without a quality, so leave it out"
    )


def check_value(name: str, value: object) -> None:
    """Check the value of an option; raises Rejected if it is none."""
    schema = OPTIONS.get(name, {})
    if "enum" in schema and value not in schema["enum"]:
        raise Rejected(f"{name}: must be one of {', '.join(schema['enum'])}, got {value!r}")
    least, most = schema.get("minimum", QUALITIES[0]), schema.get("maximum", QUALITIES[-1])
    if name in ("quality", "bytes_max") and not is_whole(value, least, most):
        raise Rejected(f"{name}: must be a whole number from {least} to {most}, got {value!r}")
    if schema.get("type") == "boolean" and not isinstance(value, bool):
        raise Rejected(f"{name}: must be True or False, got {value!r}")


def is_whole(value: object, least: int, most: int) -> bool:
    """Return whether a value is a whole number between two, which are included."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def check_planes(output: Output, stack: Stack, name: str) -> None:
    """Check that a file of several planes can be written so.

    Raises
    ------
    Rejected
        If a file that is written so has one plane.
    """
    for option, chosen in (("layout cog", output.layout == "cog"), ("bytes_max", output.bytes_max)):
        if chosen:
            raise Rejected(
                f"{name}: the result has {stack.planes} planes, and {option} is for one; leave it "
                "out, or choose a plane by the option page"
            )


def file_result(
    header: Header,
    planned: Plan,
    asked: str,
    metadata: Metadata,
    output: Output,
    *,
    holes: bool,
) -> FileResult:
    """Choose format and metadata of a result, and how it is written.

    Parameters
    ----------
    header : Header
        Of the source.
    planned : Plan
        The plan that writes the result.
    asked : str
        Name of a format, or "same" for that of the source, if it can hold the result.
    metadata, output
        As for `FileJob`.
    holes : bool
        Whether pixels without data got their value back.

    Raises
    ------
    Rejected
        If the format, or the compression that was chosen, cannot hold the result.
    """
    name, chosen = choose_format(asked, header.format, planned)
    result, lost = carried(header, outcome(header, planned, holes=holes), metadata)
    check_result(header.name, result.image, name)
    why = unfit(output, result.image) if name == "tiff" else ""
    if why and asked != "same":
        raise Rejected(f"{header.name}: compression: {why}")
    if why:
        output = output._replace(compression="")
        chosen += (f"compressed as usual: {why.partition(';')[0]}",)
    result = replace(result, output=output, compression=coding(output, result.compression))
    return FileResult(name, result, chosen + density_note(header, planned, metadata) + lost)


def beside(target: Path, name: str, suffix: str) -> Path:
    """Return the path of a further result: the target's name, an underscore and the id."""
    stem = target.name.removesuffix(ending_of(target))
    return target.with_name(f"{stem}_{name}{suffix}")


def write_table(table: Table, path: Path) -> tuple[str, ...]:
    """Write a table as CSV; there are no notes."""
    table.to_csv(path)
    return ()


def choose_format(asked: str, source: str, planned: Plan) -> tuple[str, tuple[str, ...]]:
    """Return the name of the format to write, and notes for the user.

    Under "same" a mask or labels are not written as JPEG, which blurs them, and what the source's
    format cannot hold becomes a TIFF.

    Parameters
    ----------
    asked, source : str
        Name of a format, or "same" for `asked`.
    planned : Plan
        The plan, which knows the result's dtype and kind.
    """
    kind = planned.result_kind
    if asked != "same":
        blurred = asked in LOSSY and kind != "picture"
        title = FORMATS[asked].title
        return asked, (f"written as {title}, which blurs a mask; choose PNG",) if blurred else ()
    title = FORMATS[source].title
    if FORMATS[source].write is None:
        return "tiff", (f"written as TIFF: {title} is read and not written",)
    chosen = "png" if source in LOSSY and kind != "picture" else source
    if planned.result_dtype not in FORMATS[chosen].dtypes:
        chosen = "tiff"
    if chosen == source:
        return source, ()
    what = {"mask": "a mask", "labels": "labels"}.get(kind, f"a result of {planned.result_dtype}")
    return chosen, (f"written as {FORMATS[chosen].title}: {title} cannot hold {what} exactly",)


def outcome(header: Header, planned: Plan, *, holes: bool) -> Outcome:
    """Return what a plan does to the image of a file; `holes` as in `Outcome`."""
    given, density = header.image, planned.density
    shape = planned.result_shape
    kept = shape[2:] == given.shape[2:]
    # Natively alpha is processed as every channel is; it stays alpha if no channel was lost.
    alpha = planned.result_alpha or (given.alpha and not planned.source_alpha and kept)
    size = pixel_size(given, density)
    resolution = header.resolution
    if resolution is not None:
        resolution = None if density is None else density.of(resolution)
    image = ImageHeader(
        shape,
        planned.result_dtype,
        "yxs"[: len(shape)],
        planned.result_kind,
        alpha,
        None,
        size,
        given.channels if kept else (),
    )
    kept_values, kept_units = planned.values_kept, planned.units_kept
    return Outcome(image, resolution, planned.placement, kept_values, holes, kept_units)


def density_note(header: Header, planned: Plan, metadata: Metadata) -> tuple[str, ...]:
    """Return a note if a result has no resolution, because its pixels have several sizes."""
    if header.resolution is None or planned.density is not None or metadata == "strip":
        return ()
    return ("resolution dropped: the result's pixels are not all of one size",)
