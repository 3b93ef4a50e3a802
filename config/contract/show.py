"""Values of clients in error sentences."""

import json
from typing import Any


def show(value: Any) -> str:
    """Return a client's value as JSON text of 60 characters at most."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
