"""Errors of searching: invalid queries and filters, and collections that cannot answer."""

from __future__ import annotations

from tips_model.errors import TipsError


class QueryError(TipsError):
    """The query cannot be answered; the message says why."""


class QuerySyntaxError(QueryError):
    """The query has a syntax error: `spot` (start, end) is its position in `text`."""

    def __init__(self, sentence: str, text: str, spot: tuple[int, int]) -> None:
        start, end = spot
        where = f"at character {start + 1}" if start < len(text) else "at its end"
        super().__init__(f"The query cannot be read {where}: {sentence}")
        self.text, self.spot = text, (start, max(end, start + 1))

    def marked(self) -> str:
        """Two lines: the text, and marks under the spot."""
        start, end = self.spot
        return f"{self.text}\n{' ' * start}{'^' * (end - start)}"


class FilterError(TipsError):
    """The filter cannot be parsed; the message names the spot and the known fields."""


class SearchError(TipsError):
    """The collection cannot answer: it is empty, or made with another model."""
