"""The section of the page on what other libraries are best at."""

from tests.benchmarks.candidates import SERIAL
from tests.benchmarks.text import mark, measured_on, milliseconds, table, times

OURS = ("ours 1", "ours 2")
TEXT = """*Ours* is one MPI rank, and two; the image lies in their memory. A peer's times are those
of one thread, and of two if it can use them. *Times* says how many times faster one rank is than
the fastest library with the same pixels on one thread; below 1 it is slower (✗).
"""


def best(measured):
    """Return the section that compares operations with the library that is best at each."""
    rows = measured["rows"]
    heads = ["", "image", "ours 1 / 2, ms", "same pixels, ms", "times", "all, ms on 1 / 2 threads"]
    cold = [
        [*(milliseconds(row["cold"][name]) for name in (SERIAL, *OURS)), peers_cold(row)]
        for row in rows
    ]
    cold = [[row["operation"], *each] for row, each in zip(rows, cold, strict=True)]
    return "\n".join(
        [
            "## What other libraries are best at\n",
            measured_on(measured),
            TEXT,
            table(heads, [cells(row) for row in rows]),
            "One cold run, in milliseconds:\n",
            table(["", SERIAL, *OURS, "peers"], cold),
        ]
    )


def cells(row):
    """Return the cells of one row."""
    name = fastest(row)
    gain = row["seconds"][name] / row["seconds"]["ours 1"]
    same = mark(row["pixels"]["ours 1"])
    return [
        row["operation"],
        " × ".join(map(str, row["shape"])) + f" {row['dtype']}",
        f"**{pair(row['seconds'], 'ours')}** {same}",
        f"{library_of(name)} {milliseconds(row['seconds'][name])}",
        times(gain) + ("" if gain >= 1 else " ✗"),
        ", ".join(
            f"{each} {pair(row['seconds'], each)} {mark(share_of(row, each))}"
            for each in libraries_of(row)
        ),
    ]


def fastest(row):
    """Return the candidate with scikit-image's pixels that is fastest on one thread, save ours."""
    names = [
        name
        for name, share in row["pixels"].items()
        if share == 0 and name not in OURS and not name.endswith(" 2")
    ]
    return min(names, key=row["seconds"].get)


def library_of(name):
    """Return a candidate's name without its number of threads."""
    return name.removesuffix(" 1").removesuffix(" 2")


def libraries_of(row):
    """Return the libraries of a row, each once, without ours."""
    return list(dict.fromkeys(library_of(name) for name in row["pixels"] if name not in OURS))


def share_of(row, library):
    """Return the share of pixels in which a library differs from scikit-image."""
    return row["pixels"].get(library, row["pixels"].get(f"{library} 1", 0.0))


def pair(figures, library):
    """Return the milliseconds of a library, on one thread and on two, as text."""
    names = [name for name in (library, f"{library} 1", f"{library} 2") if name in figures]
    return " / ".join(milliseconds(figures[name]) for name in names)


def peers_cold(row):
    """Return the cold runs of all peers as text."""
    return ", ".join(f"{each} {pair(row['cold'], each)}" for each in libraries_of(row)[1:]) or "–"
