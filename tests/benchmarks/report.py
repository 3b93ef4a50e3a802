"""Write docs/bench/README.md and its picture from the measured figures."""

import json

import matplotlib as mpl

from tests.benchmarks import paper, report_best, report_neighbours, report_regions
from tests.benchmarks.candidates import SERIAL
from tests.benchmarks.others import (
    GAIN_MIN,
    LOSS_MIN,
    SERIAL_SECONDS_MAX,
    WORTH_SECONDS,
    falls_short,
)
from tests.benchmarks.text import mark, measured_on, milliseconds, table, times

mpl.use("svg")
from matplotlib import pyplot

OURS = ("resident", "end to end")
LIBRARIES = ("OpenCV", "libvips", "dask", "dask-image")
PLOTTED = ("resident", "end to end", "OpenCV 2", "libvips 2", "dask 2")

HEAD = """# Speed, measured

`make bench` measures everything on this page on the machine at hand and writes it;
`make bench PART=files` renews one part. All candidates of a row take turns on the same photograph,
and medians count. The first run of a turn is not counted; what then takes less than 0.1 s runs
again until that is over. Unless said otherwise a figure is how many times faster than **serial
scikit-image on uint8** (= 1) something is, and *ours* is two MPI ranks.

- *resident*: the image lies in the engine's memory already, and the result stays there
  (`Engine.hold`). *end to end*: from the caller's array to a new array of the caller's.
- The number behind a peer's name is its threads. Pillow has one.
- **=**: the pixels are scikit-image's: levels equal, but for one level where scikit-image's own
  float lies at an edge of rounding; floats within 1e-6. **≠**: they are not, with the share of
  pixels that differ. Ours may be what scikit-image makes of the image in single precision.
- *One cold run* is the first of a turn, after all others ran: its process has returned the memory
  that it kept from earlier runs, and asks for it again. It is the same for all candidates.
"""


def write(folder):
    """Write the page and the picture."""
    found = json.loads((folder / "measured.json").read_text())
    parts = [HEAD]
    if "operations" in found:
        plot(found["operations"]["rows"], folder / "operations.svg")
        parts.append("![How many times faster than serial scikit-image](operations.svg)\n")
    sections = (
        ("operations", operations),
        ("large", operations),
        ("best", report_best.best),
        ("regions", report_regions.regions),
        ("others", others),
        ("files", files),
        ("latency", latency),
        ("neighbours", report_neighbours.neighbours),
        ("jobs", jobs),
    )
    parts += [make(found[name]) for name, make in sections if name in found]
    if "scaling" in found:
        parts.append(scaling(found["scaling"]))
        parts.append(paper.section())
    (folder / "README.md").write_text("\n".join(parts))


def ratio_of(row, name):
    """Return how many times faster than serial scikit-image a candidate is."""
    return row["seconds"][SERIAL] / row["seconds"][name]


def operations(measured):
    """Return the section that compares operations with every peer."""
    rows, size = measured["rows"], measured["rows"][0]["size"]
    heads = ["", "scikit-image, ms", "ours, resident", "end to end", "target"]
    timed = {name for row in rows for name in row["seconds"]}
    heads += [f"{name} {'1 / 2' if f'{name} 1' in timed else 2}" for name in LIBRARIES] + ["Pillow"]
    names = [SERIAL, "resident", "OpenCV 2", "libvips 2", "dask 2", "dask-image 2", "Pillow"]
    memory = [[row["operation"]] + [shown(row["memory"], name) for name in names] for row in rows]
    timed_cold = [SERIAL, *OURS, *names[2:]]
    cold = [[row["operation"]] + [cold_of(row, name) for name in timed_cold] for row in rows]
    return "\n".join(
        [
            f"## Operations on {size}, beside every peer\n",
            measured_on(measured),
            table(heads, [operation(row) for row in rows]),
            notes_on(rows),
            f"One cold run, in milliseconds ({size}):\n",
            table(["", SERIAL, "ours, resident", "end to end", *names[2:]], cold),
            "Most memory above idle, all processes together, in images, source and result "
            f"included ({size}):\n",
            table(["", SERIAL, "ours", *names[2:]], memory),
        ]
    )


def shown(memory, name):
    """Return a memory figure as text; a dash if there is none."""
    return f"{memory[name]:.1f}" if name in memory else "–"


def cold_of(row, name):
    """Return the milliseconds of one cold run as text; a dash if there is none."""
    return milliseconds(row["cold"][name]) if name in row["cold"] else "–"


def operation(row):
    """Return the cells of one row."""
    ours = f"**{times(ratio_of(row, 'resident'))}** {mark(row['pixels']['resident'])}"
    cells = [row["operation"], milliseconds(row["seconds"][SERIAL]), ours]
    cells += [times(ratio_of(row, "end to end")), f"≥ {row['target']:g}"]
    for library in LIBRARIES:
        names = [f"{library} {threads}" for threads in (1, 2)]
        names = [name for name in names if name in row["seconds"]]
        cells.append(" / ".join(times(ratio_of(row, name)) for name in names) or "–")
        if names:
            cells[-1] += f" {mark(row['pixels'][names[-1]])}"
    has_pillow = "Pillow" in row["seconds"]
    return [*cells, pillow(row) if has_pillow else "–"]


def pillow(row):
    """Return Pillow's cell."""
    return f"{times(ratio_of(row, 'Pillow'))} {mark(row['pixels']['Pillow'])}"


def notes_on(rows):
    """Return notes on rows smaller than the table's size, and on rows below their target."""
    smaller = [f"{row['operation']} ({row['shape'][0]} × {row['shape'][1]})" for row in rows]
    largest = max(row["shape"][0] for row in rows)
    smaller = [text for text, row in zip(smaller, rows, strict=True) if row["shape"][0] < largest]
    missed = [bounds_of(row) for row in rows if ratio_of(row, "resident") < row["target"]]
    lines = [f"On a smaller image: {', '.join(smaller)}.\n"] if smaller else []
    lines += [f"Below target: {'; '.join(missed)}.\n"] if missed else ["No target is missed.\n"]
    return "\n".join(lines)


def bounds_of(row):
    """Return the name of an operation, and what bounds its time."""
    whole, inside = (milliseconds(each) for each in (row["seconds"]["resident"], row["in_ranks"]))
    moved, speed = row["moved"], row["bytes_per_second"]
    return (
        f"{row['operation']}: {whole} ms (the busiest rank worked for {inside} of it, and by a "
        f"plain copy all cores move its {moved / 1e6:.0f} MB in {milliseconds(moved / speed)})"
    )


def plot(rows, path):
    """Draw the picture: filled marks where pixels equal scikit-image's, else open ones."""
    mpl.rcParams["svg.hashsalt"] = "bench"
    figure, axes = pyplot.subplots(figsize=(9, 6))
    for i, name in enumerate(PLOTTED):
        label = f"ours, {name}" if name in OURS else f"{name} threads"
        for down, row in enumerate(rows):
            if name not in row["seconds"]:
                continue
            same = row["pixels"].get(name, row["pixels"]["resident"]) == 0
            face = f"C{i}" if same else "white"
            axes.plot(
                ratio_of(row, name), down, "o", color=f"C{i}", markerfacecolor=face, label=label
            )
            label = None
    axes.axvline(1, color="gray", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [row["operation"] for row in rows])
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("times faster than serial scikit-image; open: not its pixels")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.1), ncols=len(PLOTTED), frameon=False)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)


def others(measured):
    """Return the section on the rest of the catalogue, with the smallest gain first."""
    rows = sorted(measured["rows"], key=lambda row: ratio_of(row, "resident"))
    short = [row for row in rows if falls_short(row)]
    cells = [
        [
            row["operation"],
            row["kind"],
            " × ".join(map(str, row["shape"])),
            milliseconds(row["seconds"][SERIAL]),
            milliseconds(row["seconds"]["resident"]),
            times(ratio_of(row, "resident")) + (" ✗" if falls_short(row) else ""),
        ]
        for row in rows
    ]
    heads = ["", "kind", "image", "scikit-image, ms", "ours, ms", "times"]
    return "\n".join(
        [
            "## Every other operation\n",
            measured_on(measured),
            "Each on the largest of a few images that scikit-image does in "
            f"{SERIAL_SECONDS_MAX:g} s; {len(short)} of {len(rows)} fall short (✗): below "
            f"{GAIN_MIN:g} where scikit-image takes over {1000 * WORTH_SECONDS:.0f} ms, or below "
            f"{LOSS_MIN:g}.\n",
            table(heads, cells),
        ]
    )


def files(measured):
    """Return the section on runs from file to file."""
    heads = ["", "script, s", "ours, s", "vips 1 / 2, s", "script : ours", "vips 2 : ours", "bytes"]
    cells = []
    for row in measured["rows"]:
        taken = row["seconds"]
        cells.append(
            [
                row["format"],
                f"{taken['script']:.2f}",
                f"{taken['ours']:.2f}",
                f"{taken['vips 1']:.2f} / {taken['vips 2']:.2f}",
                times(taken["script"] / taken["ours"]),
                times(taken["vips 2"] / taken["ours"]),
                f"{row['bytes']['ours'] / row['bytes']['vips 2']:.2f} of vips'",
            ]
        )
    return "\n".join(
        [
            f"## From file to file: gaussian σ=2, {measured['rows'][0]['size']} RGB\n",
            measured_on(measured),
            "A warm engine (`Engine.run_file`), the command `vips gaussblur`, and a script of "
            "Pillow and scikit-image whose imports are not counted; JPEG of quality 95, TIFF with "
            "zstd. The ratios say how many times faster ours is.\n",
            table(heads, cells),
        ]
    )


def latency(measured):
    """Return the section on small warm runs."""
    names = ("work alone", "resident", "end to end")
    cells = [
        [row["operation"]]
        + [f"{1000 * a:.2f} / {1000 * b:.2f}" for a, b in (row["seconds"][name] for name in names)]
        for row in measured["rows"]
    ]
    return "\n".join(
        [
            "## A warm run of 512 × 512 pixels\n",
            measured_on(measured),
            "Milliseconds: the median, and what nineteen of twenty do not exceed. *Work alone* is "
            "the same plan in the caller's own process.\n",
            table(["", *names], cells),
        ]
    )


JOBS = {
    "small_jpegs": "Many small JPEGs, all at once",
    "png_512": "A PNG of 512 × 512 pixels at a time: where its milliseconds go",
}


def jobs(measured):
    """Return the section on small jobs in the whole app."""
    lines = [
        "## Small images through the whole app\n",
        measured_on(measured),
        "Clients, API, queue, worker, and what stands in for S3 and DynamoDB (as `aws`), "
        "share these cores. *Rest* is what the worker takes beside its stages.\n",
    ]
    for name, heading in JOBS.items():
        lines.append(f"### {heading}\n")
        figures = flat(measured["rows"][name])
        lines.append(table(["", ""], [[key, f"{value:.1f}"] for key, value in figures]))
    return "\n".join(lines)


def flat(figures, before=""):
    """Yield nested figures, each with the joined names that lead to it."""
    for key, value in figures.items():
        name = f"{before}{key.replace('_', ' ')}"
        if isinstance(value, dict):
            yield from flat(value, f"{name}: ")
        else:
            yield name, value


def scaling(measured):
    """Return the section on one, two and four ranks, beside the model's estimate."""
    heads = ["", "ranks", "measured, ms", "model, ms", "model : measured"]
    cells = []
    for row in measured["rows"]:
        for ranks, seconds in row["seconds"].items():
            estimated = row["model"][ranks]
            cells.append(
                [
                    row["operation"] if ranks == "1" else "",
                    ranks,
                    milliseconds(seconds),
                    milliseconds(estimated),
                    f"{estimated / seconds:.2f}",
                ]
            )
    return "\n".join(
        [
            "## One, two and four ranks\n",
            measured_on(measured),
            f"Resident, on {measured['machine'].split(',')[0]}: four ranks share them.\n",
            table(heads, cells),
        ]
    )
