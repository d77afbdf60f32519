"""Modules that were renamed before version 0.2: old -> new, and imports under the old name.

import indexer.holder  # gives indexer.write_lock, with a DeprecationWarning
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

RENAMED = {
    "indexer.holder": "indexer.write_lock",
    "indexer.keeping": "indexer.maintenance",
    "indexer.keeping.generations": "indexer.maintenance.model_switch",
    "indexer.keeping.inotify": "indexer.maintenance.watch_limits",
    "indexer.keeping.move": "indexer.maintenance.migrate",
    "indexer.keeping.pending": "indexer.maintenance.debounce",
    "indexer.keeping.pinned": "indexer.maintenance.pinned_state",
    "indexer.ledger": "indexer.commit",
    "indexer.photos.decoders": "indexer.photos.decoder_pool",
    "indexer.photos.process": "indexer.photos.decoder_process",
    "indexer.photos.worker": "indexer.photos.decoder_worker",
    "indexer.reading": "indexer.photo_reader",
    "indexer.runs": "indexer.run_log",
    "indexer.size": "indexer.folder_size",
    "indexer.temporaries": "indexer.cleanup",
    "search.again": "search.find_again",
    "search.agreement": "search.rank_agreement",
    "search.browse.choices": "search.browse.selection",
    "search.encode": "search.query_encoder",
    "search.page": "search.result_page",
    "search.scenes.page": "search.scenes.result_page",
    "search.sheet": "search.contact_sheet",
    "search.stored": "search.stored_photos",
    "search.terms": "search.query_vectors",
    "search.words": "search.word_lists",
    "tips_model.foreign": "tips_model.untrusted",
    "tips_model.train.given": "tips_model.train.supervision",
    "tips_model.train.join": "tips_model.train.join_tables",
    "tips_model.train.layout": "tips_model.train.positions",
    "tips_model.train.named": "tips_model.train.name_targets",
    "tips_model.train.pieces": "tips_model.train.table_tokenizer",
    "tips_model.train.targets": "tips_model.train.column_targets",
    "ui.app.answers": "ui.app.page_results",
    "ui.app.asking": "ui.app.query_controls",
    "ui.app.browsing": "ui.app.filter_controls",
    "ui.app.chosen": "ui.app.collection_choice",
    "ui.app.detail": "ui.app.photo_view",
    "ui.app.facts": "ui.app.photo_facts",
    "ui.app.repeats": "ui.app.near_duplicates",
    "ui.app.sharpen": "ui.app.place_refiner",
    "ui.app.taking": "ui.app.export_menu",
    "ui.known": "ui.registry",
    "ui.opening": "ui.open_collection",
    "ui.service.answers": "ui.service.responses",
    "ui.service.engines": "ui.service.open_collections",
    "ui.service.given": "ui.service.context",
    "ui.service.journal": "ui.service.access_log",
    "ui.service.lanes": "ui.service.worker_pool",
    "ui.service.probes": "ui.service.health",
    "ui.service.questions": "ui.service.requests",
    "ui.words": "ui.formatting",
    "ui.workers": "ui.cluster_workers",
}
"""Former module or package name -> current name."""


def present_name(name: str) -> str:
    """The current name of a module, also inside a renamed package; otherwise the same name."""
    package, dot, rest = name, "", ""
    while package:
        if package in RENAMED:
            return RENAMED[package] + (dot and f".{rest}")
        package, dot, last = package.rpartition(".")
        rest = f"{last}.{rest}" if rest else last
    return name


class _FormerNames(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return None if present_name(fullname) == fullname else ModuleSpec(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        former = module.__name__
        present = present_name(former)
        warnings.warn(f"{former} is {present} now", DeprecationWarning, stacklevel=6)
        sys.modules[former] = import_module(present)  # the import system takes it from there


def keep_former_names() -> None:
    """Make modules importable under their former names too; both names give the same module."""
    if not any(isinstance(finder, _FormerNames) for finder in sys.meta_path):
        sys.meta_path.insert(0, _FormerNames())  # first, or modules load twice
