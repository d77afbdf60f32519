"""Photos become vectors: scan, decode, embed, pool regions, keep the catalog, publish.

`from indexer import Collection, index`. The names are imported when they are first used, so that
`import indexer` loads neither torch nor LanceDB.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tips_model.former_names import keep_former_names

if TYPE_CHECKING:
    from indexer.collection import Collection
    from indexer.pipeline import index

__all__ = ["Collection", "index"]

_HOMES = {"Collection": "collection", "index": "pipeline"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


keep_former_names()
