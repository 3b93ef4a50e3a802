"""How a file is read: the options of a batch, a preview and the shell, declared once."""

from collections.abc import Mapping
from typing import Any, Literal

Kind = Literal["picture", "intensity", "bands", "mask", "labels"]
KINDS: tuple[Kind, ...] = ("picture", "intensity", "bands", "mask", "labels")

# Words for pixels without data, beside a number.
NODATA_WORDS = ("nan", "spread")

# Numbers from 1, and ranges with both ends.
_NUMBER = r"\s*[0-9]{1,9}\s*(\.\.\s*[0-9]{1,9}\s*)?"
NUMBERS = f"^{_NUMBER}(,{_NUMBER})*$"
NUMBERS_MAX = 400

NUMBERS_RULE = "must be numbers such as 2, 1,3 or 4..9"
NODATA_RULE = "must be a number that a float of 64 bits can hold, nan or spread"
# The greatest float of 64 bits, as which the number is kept; JSON has greater ones.
NODATA_MAX = 1.7976931348623157e308
# The rule of each option, as a sentence says it.
RULES: Mapping[str, str] = {
    **dict.fromkeys(("page", "t", "z", "channels"), NUMBERS_RULE),
    "nodata": NODATA_RULE,
}


def numbers(text: str) -> dict[str, Any]:
    """Return the schema of an option that names planes or channels."""
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": NUMBERS_MAX,
        "pattern": NUMBERS,
        "description": text,
    }


# The options by their names, as JSON Schema. What is left out is as the file says.
OPTIONS: Mapping[str, dict[str, Any]] = {
    "kind": {
        "type": "string",
        "enum": list(KINDS),
        "description": "What the image is: a picture, numbers of an instrument (intensity), "
        "several of them for a pixel (bands), a mask, or labels.",
    },
    "channels": numbers(
        "Channels of a stack, or of each pixel: `2`, `1,3` or `4..9`; three bands are red, green "
        "and blue."
    ),
    "z": numbers("Slices of a stack."),
    "t": numbers("Times of a stack."),
    "page": numbers("Planes in the order of the file; not beside `z`, `t` or `channels`."),
    "nodata": {
        "type": ["number", "string"],
        "minimum": -NODATA_MAX,
        "maximum": NODATA_MAX,
        "pattern": f"^({'|'.join(NODATA_WORDS)})$",
        "description": "Value of pixels that hold no data, which then count for nothing; `nan`, or "
        "`spread` to compute with such pixels as scikit-image does.",
    },
    "incomplete": {
        "type": "boolean",
        "description": "Whether a JPEG, PNG or TIFF that ends within its pixels is read as far as "
        "it goes; what is missing gets the value of pixels without data, or 0.",
    },
}
