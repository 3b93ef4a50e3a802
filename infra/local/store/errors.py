"""What DynamoDB answers to a request that it refuses."""

from typing import Any


class TableError(Exception):
    """A request that is refused: DynamoDB's code and sentence, and more fields of its answer."""

    def __init__(self, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.more = code, message, more


class Invalid(TableError):
    """A request that DynamoDB refuses as not valid; the message says why."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)
