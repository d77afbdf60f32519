"""What a user can ask in vain."""

from __future__ import annotations

from tips_model.errors import TipsError


class QueryError(TipsError):
    """The question cannot be asked; the sentence says why."""


class QuerySyntaxError(QueryError):
    """The query cannot be read as one: `spot` (start, end) is where in `text`."""

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
    """The filter cannot be read; the sentence names the spot and what is known."""


class SearchError(TipsError):
    """The collection cannot answer: it is empty, or made by another model."""
