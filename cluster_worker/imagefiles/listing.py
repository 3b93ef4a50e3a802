"""The formats as API and page know them: `config/contract/formats.json` holds this list."""

import json
from typing import Any

from cluster_worker.imagefiles.records import FORMATS, titles
from cluster_worker.imagefiles.strangers import HEAD_BYTES, STRANGERS


def listing() -> dict[str, Any]:
    """Return what API and page need to know of all formats.

    In patterns of first bytes each letter stands for one byte. Python and JavaScript read
    them alike, with a point that stands for any byte.
    """
    return {
        "use": titles(),
        "head_bytes": HEAD_BYTES,
        "read": [
            {
                "title": form.title,
                "type": form.media_type,
                "extensions": list(form.extensions),
                "magic": form.magic.pattern.decode("latin-1"),
            }
            for form in FORMATS.values()
        ],
        "strangers": [
            {"title": title, "way": way, "magic": magic.pattern.decode("latin-1")}
            for title, way, magic in STRANGERS
        ],
    }


def as_text() -> str:
    """Return the content of the file."""
    return json.dumps(listing(), indent=1) + "\n"
