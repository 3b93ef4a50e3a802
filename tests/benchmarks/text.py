"""Tables and numbers as the page shows them."""


def table(heads, rows):
    """Lay out a table; all columns but the first are numbers."""
    rule = ["---"] + ["--:"] * (len(heads) - 1)
    return "".join("| " + " | ".join(row) + " |\n" for row in (heads, rule, *rows))


def times(ratio):
    """Show how many times faster."""
    return f"{ratio:.0f}" if ratio >= 20 else f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"


def milliseconds(seconds):
    """Show a time."""
    return f"{1000 * seconds:.0f}" if seconds >= 0.01 else f"{1000 * seconds:.2f}"
