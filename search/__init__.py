"""Search a collection: from a query to hits with boxes, masks, heatmaps and a confidence cut-off.

    from search import Request, Searcher

Names are imported on first use: a `Request` needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tips_model.former_names import keep_former_names

if TYPE_CHECKING:
    from search.hits import Results
    from search.request import Request
    from search.searcher import Searcher

__all__ = ["Request", "Results", "Searcher"]

_HOMES = {"Request": "request", "Results": "hits", "Searcher": "searcher"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


keep_former_names()
