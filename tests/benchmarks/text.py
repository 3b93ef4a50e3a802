"""Tables and numbers as the page shows them."""

# Below this share of pixels that differ, only the limit is shown.
FEW = 0.001


def measured_on(measured):
    """Return the sentence that names machine and date."""
    return f"Measured on {measured['machine']}, {measured['date']}.\n"


def mark(share):
    """Return the mark that shows whether pixels equal scikit-image's."""
    if share == 0:
        return "="
    return "≠ <0.1 %" if share < FEW else f"≠ {100 * share:.1f} %"


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
