"""The section of the page on tables of regions."""

from tests.benchmarks.text import measured_on, milliseconds, table, times

TEXT = """A label image with an ellipse in every cell of 13 × 13 pixels, and an image of 16 bits.
Each library measures what it has of the properties, on one thread. *Times* says how many times
faster ours is than the fastest other library; *off* is the largest difference from scikit-image, as
a share of a column's largest value.
"""


def regions(measured):
    """Return the section that compares tables of regions."""
    heads = ["", "regions", "ours, ms", "times", "off", "others, ms"]
    rows = [cells(row) for row in measured["rows"]]
    return "\n".join(["## Tables of regions\n", measured_on(measured), TEXT, table(heads, rows)])


def cells(row):
    """Return the cells of one row."""
    seconds = dict(row["seconds"])
    own = seconds.pop("ours 1")
    gain = min(seconds.values()) / own
    others = ", ".join(f"{name} {milliseconds(taken)}" for name, taken in seconds.items())
    return [
        row["operation"],
        str(row["regions"]),
        f"**{milliseconds(own)}**",
        times(gain) + ("" if gain >= 1 else " ✗"),
        f"{row['off']:.0e}",
        others,
    ]
