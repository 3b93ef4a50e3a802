"""Tables and numbers as the page shows them."""


def table(heads, rows):
    """Return a Markdown table; all columns but the first hold numbers."""
    rule = ["---"] + ["--:"] * (len(heads) - 1)
    return "".join("| " + " | ".join(row) + " |\n" for row in (heads, rule, *rows))


def times(ratio):
    """Return as text how many times faster something is."""
    return f"{ratio:.0f}" if ratio >= 20 else f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"


def milliseconds(seconds):
    """Return a time as text, in milliseconds."""
    return f"{1000 * seconds:.0f}" if seconds >= 0.01 else f"{1000 * seconds:.2f}"
