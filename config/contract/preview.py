"""A preview: what API and worker say to each other about it, over the broker.

A picture travels with the first question about it, and is known by its hash from then on. Nothing
of it is stored but in the memory of the worker that was asked.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Question:
    """Steps on a picture.

    Attributes
    ----------
    picture : str
        SHA-256 of the file, in hexadecimal digits.
    content : bytes
        The file, or nothing where the worker should have it.
    steps : sequence of mapping
        The chain, as in the API.
    """

    picture: str
    content: bytes
    steps: Sequence[Mapping[str, Any]]

    def to_bytes(self) -> bytes:
        """Encode for the broker."""
        content = base64.b64encode(self.content).decode()
        told = {"picture": self.picture, "content": content, "steps": list(self.steps)}
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
            return cls(str(found["picture"]), content, tuple(found["steps"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"not a question for a preview: {body[:80]!r}") from error


@dataclass(frozen=True)
class Answer:
    """The picture that came of it, or why there is none.

    Attributes
    ----------
    content : bytes
        A PNG, or nothing.
    reason : str
        Why there is none, in one sentence; empty where the picture must be sent again.
    margin : int or None
        If the picture was cut out of a larger one: pixels along its edges that may not be as the
        steps would make them there. None where all may be, since a step looks at more than a
        neighbourhood.
    """

    content: bytes = b""
    reason: str = ""
    margin: int | None = None

    def to_bytes(self) -> bytes:
        """Encode for the broker: the words on a first line, then the picture as it is."""
        words = {"reason": self.reason, "margin": self.margin}
        return json.dumps(words).encode() + b"\n" + self.content

    @classmethod
    def from_bytes(cls, body: bytes) -> "Answer":
        """Decode from the broker."""
        line, _, content = body.partition(b"\n")
        words = json.loads(line)
        margin = words["margin"]
        return cls(content, str(words["reason"]), None if margin is None else int(margin))
