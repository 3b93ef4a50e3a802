"""A preview: the question and the answer that API and worker send each other over the broker.

The first question about a picture carries its file; later ones name it by its hash. The file is
stored only in the memory of the worker that received it.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from config.contract import resources

# The rest of a message is left for the line before the picture, which may hold samples of tables.
# In base64 the picture also fits into an answer of Lambda, which may have 6 MB.
CONTENT_BYTES_MAX = resources.MESSAGE_BYTES_MAX - 64 * 1024


@dataclass(frozen=True)
class Question:
    """Steps on a picture.

    Attributes
    ----------
    picture : str
        SHA-256 of the file, in hexadecimal digits.
    content : bytes
        The file; empty if the worker should have it already.
    steps : sequence of mapping
        The chain, as in the API.
    read : mapping or None
        How the file is read, by the options of `config.contract.reading`. None: it is a picture
        that a browser has made.
    """

    picture: str
    content: bytes
    steps: Sequence[Mapping[str, Any]]
    read: Mapping[str, Any] | None = None

    def to_bytes(self) -> bytes:
        """Encode for the broker."""
        content = base64.b64encode(self.content).decode()
        told: dict[str, Any] = {"picture": self.picture, "content": content}
        told["steps"] = list(self.steps)
        if self.read is not None:
            told["read"] = dict(self.read)
        return json.dumps(told, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, body: bytes) -> "Question":
        """Decode from the broker.

        Raises
        ------
        ValueError
            If the body is no question of this app.
        """
        try:
            found = json.loads(body)
            content = base64.b64decode(found["content"], validate=True)
            read = found.get("read")
            return cls(str(found["picture"]), content, tuple(found["steps"]), read)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"not a question for a preview: {body[:80]!r}") from error


@dataclass(frozen=True)
class Answer:
    """The resulting picture, or why there is none.

    Attributes
    ----------
    content : bytes
        A PNG, or the values of a result that is not of 8 bits, of at most `CONTENT_BYTES_MAX`;
        empty if there is none.
    reason : str
        Why there is none, in one sentence; empty if the picture must be sent again.
    retry_seconds : int
        When to ask again, if the worker is at fault; 0 if it is the picture or the steps.
    margin : int or None
        For a picture that was cut out of a larger one: width in pixels of the edges that may differ
        from the larger one's result. None if all pixels may differ, because a step looks at more
        than a neighbourhood.
    image_kind : str
        What the picture is, such as "picture" or "labels".
    tables : sequence of mapping
        For each table of the steps, as the API shows it: ``id`` and ``operation`` of the step,
        ``rows`` (their number), ``columns`` with name and unit, and the ``first`` rows.
    file : mapping
        What the file is, as the API shows it; empty for a picture that a browser has made.
    """

    content: bytes = b""
    reason: str = ""
    margin: int | None = None
    retry_seconds: int = 0
    image_kind: str = ""
    tables: Sequence[Mapping[str, Any]] = ()
    file: Mapping[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Encode for the broker: a line of JSON, then the picture."""
        words = {
            "reason": self.reason,
            "margin": self.margin,
            "retry_seconds": self.retry_seconds,
            "image_kind": self.image_kind,
            "tables": list(self.tables),
            "file": dict(self.file),
        }
        return json.dumps(words).encode() + b"\n" + self.content

    @classmethod
    def from_bytes(cls, body: bytes) -> "Answer":
        """Decode from the broker."""
        line, _, content = body.partition(b"\n")
        words = json.loads(line)
        margin = words["margin"]
        return cls(
            content,
            str(words["reason"]),
            None if margin is None else int(margin),
            int(words.get("retry_seconds", 0)),
            str(words.get("image_kind", "")),
            tuple(words.get("tables", ())),
            words.get("file", {}),
        )
