"""The indexing pipeline: scan, decode, embed, pool regions, update the catalog, publish vectors.

`from indexer import Collection, index`. Names are imported on first use, so `import indexer` loads
neither torch nor LanceDB.
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
