"""What a user can ask in vain."""

from __future__ import annotations

from tips_model.errors import TipsError


class QueryError(TipsError):
    """The question cannot be asked; the sentence says why."""


class FilterError(TipsError):
    """The filter cannot be read; the sentence names the spot and what is known."""


class SearchError(TipsError):
    """The collection cannot answer: it is empty, or made by another model."""
