"""The section of the page on what jobs cost their neighbours."""

from tests.benchmarks.text import measured_on, milliseconds, table

TEXT = """One engine of two ranks that has nothing else to do. *Attacked*: a visitor submits a job
that takes a rank for half a minute, cancels it after 50 ms and submits the next, for a minute;
*next* is a small job that is submitted once the last one is cancelled.
"""
APP_TEXT = """Through the app, with a worker of two ranks, times from a file's upload to its result.
Beside the others: one visitor has sent wide jobs of half a minute, and another {sent} images of
8 × 8, of which {left} were not done at the end.
"""
IN_APP = "a job of all ranks, in the app"
ATTACKED = ("alone, ms", "one core taken, ms", "attacked, ms", "ratio", "attacks", "next, ms")


def neighbours(measured):
    """Return the section."""
    found = measured["rows"]
    return "\n".join(
        [
            "## Neighbours\n",
            measured_on(measured),
            TEXT,
            table(
                ["a rank is killed: until it is replaced", "median, ms", "most, ms", "its CPU, ms"],
                [
                    [kind, *middle_and_most(row), milliseconds(row["cpu"])]
                    for kind, row in found["replaced"].items()
                ],
            ),
            table(
                ["", *ATTACKED, "most, ms"],
                [attacked(kind, row) for kind, row in found["attacked"].items()],
            ),
            beside(found["beside"]),
            memory(found["memory"]),
            *(in_app(found["app"]) if "app" in found else ()),
        ]
    )


def in_app(found):
    """Return the tables of visitors of the app."""
    kinds = {
        "alone": "an image of a third visitor, alone",
        "image": "the same beside the others",
        "preview": "its preview beside the others",
    }
    crowd, decoders = found["crowd"], found["decoders"]
    ended = ", ".join(f"{count} {state}" for state, count in sorted(decoders["states"].items()))
    return [
        APP_TEXT.format(**crowd),
        table(["", *ATTACKED, "most, ms"], [attacked("app", found["attacked"])]),
        table(
            ["from its upload to its result", "median, ms", "most, ms", "count"],
            [
                [title, *middle_and_most(crowd[kind]), str(crowd[kind]["count"])]
                for kind, title in kinds.items()
            ],
        ),
        f"Images while {decoders['killed']} decoders were killed: {ended}.\n",
    ]


def middle_and_most(row):
    """Return median and largest as text."""
    return milliseconds(row["median"]), milliseconds(row["most"])


def attacked(kind, row):
    """Return the cells of a victim: the ratio is to its time while one core is taken."""
    names = ("alone", "one_core_taken", "attacked")
    ratio = row["attacked"]["median"] / row["one_core_taken"]["median"]
    return [
        {"wide": "a job of all ranks", "seat": "a job of one rank", "app": IN_APP}[kind],
        *(milliseconds(row[name]["median"]) for name in names),
        f"{ratio:.2f}",
        str(row["attacks"]),
        *middle_and_most(row["next"]),
    ]


def beside(row):
    """Return the table of a wide job and small ones, apart and together."""
    cells = []
    for name, text in (("wide", "a job of all ranks"), ("small", "512 × 512, one after the other")):
        (together,) = (value for key, value in row.items() if key.startswith(f"{name}_beside"))
        apart = row[name]["median"]
        ratio = together["median"] / apart
        cells.append([text, milliseconds(apart), milliseconds(together["median"]), f"{ratio:.2f}"])
    return table(["", "alone, ms", "side by side, ms", "ratio"], cells)


def memory(rows):
    """Return the table of memory, one column for each number of ranks."""
    kinds = sorted({kind for row in rows for kind in row["by_kind"]})
    cells = [[kind, *(f"{row['by_kind'].get(kind, 0):.0f}" for row in rows)] for kind in kinds]
    cells.append(["in all", *(f"**{row['total']:.0f}**" for row in rows)])
    heads = ["memory after two jobs, MiB (PSS)", *(f"{row['ranks']} ranks" for row in rows)]
    return table(heads, cells)
