"""A process for the tests of the embedded store: `python edge_actor.py ACTION FOLDER [STOP]`.

`write`: publishes photos 15..39 over a store with 0..19, and kills itself with SIGKILL when it
reaches the function STOP ("module.name:call"). `read`: opens the store, and after each line on
stdin refreshes and prints revision and counts. `hold`: holds the writer's lock until stdin closes.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from indexer.edge.store import EdgeStore
from tests.indexer.vector_cases import DIM, HEADS, image_id, images, regions


def open_store(folder: str) -> EdgeStore:
    return EdgeStore(Path(folder), heads=HEADS, dim=DIM, model_id="model-a", read_only=False)


def die_at(place: str) -> None:
    """Let the function kill the process instead of running; "module.name:2" at its second call."""
    place, _, number = place.partition(":")
    module_name, _, name = place.rpartition(".")
    module = importlib.import_module(module_name)
    original, left = getattr(module, name), [int(number or 1)]

    def deadly(*args: object, **kwargs: object) -> object:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(module, name, deadly)


def write(folder: str, stop: str) -> None:
    die_at(stop)
    with open_store(folder).writer() as writer:
        writer.upsert("images", images(range(15, 40), version=1))
        writer.upsert("regions", regions(range(15, 40), version=1))
        writer.remove([image_id(0)])
        writer.commit(2)


def read(folder: str) -> None:
    store = open_store(folder)
    for _ in sys.stdin:
        store.refresh()
        print(store.revision, store.count("images"), store.count("regions"), flush=True)


def hold(folder: str) -> None:
    with open_store(folder).writer():
        print("held", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    {"write": write, "read": read, "hold": hold}[sys.argv[1]](*sys.argv[2:])
