"""Comparing what is found with what is known; frames only."""

import polars as pl

from indexer.folders.changes import compare
from indexer.folders.scan import FILE_SCHEMA
from indexer.folders.snapshot import LINK_SCHEMA


def found(*rows: tuple[str, int, int, int]) -> pl.DataFrame:
    files = [(path, "/r", *facts, 0, []) for path, *facts in rows]
    return pl.DataFrame(files, FILE_SCHEMA, orient="row")


def known(*rows: tuple[str, int, int, int, str]) -> pl.DataFrame:
    links = [(p, "/r", s, m, c, 0, key, "ok") for p, s, m, c, key in rows]
    return pl.DataFrame(links, LINK_SCHEMA, orient="row")


def test_the_same_files_are_no_work() -> None:
    changes = compare(
        found(("/r/a", 1, 2, 3), ("/r/b", 1, 2, 3)),
        known(("/r/a", 1, 2, 3, "A"), ("/r/b", 1, 2, 3, "B")),
        ["/r"],
    )
    assert changes.empty
    assert changes.unchanged == 2


def test_new_modified_and_missing() -> None:
    changes = compare(
        found(
            ("/r/new", 1, 1, 1), ("/r/size", 2, 2, 3), ("/r/time", 1, 9, 3), ("/r/meta", 1, 2, 9)
        ),
        known(
            ("/r/size", 1, 2, 3, "A"),
            ("/r/time", 1, 2, 3, "B"),
            ("/r/meta", 1, 2, 3, "C"),
            ("/r/gone", 8, 8, 8, "D"),
        ),
        ["/r"],
    )
    rows = {row["path"]: row for row in changes.candidates.iter_rows(named=True)}
    assert {path: row["old_ids"] for path, row in rows.items()} == {
        "/r/new": None,
        "/r/size": ["A"],
        "/r/time": ["B"],
        "/r/meta": ["C"],
    }
    assert rows["/r/new"]["old_ids"] is None
    assert changes.missing.rows() == [("/r/gone", "D")]
    assert changes.unchanged == 0


def test_files_that_look_moved_come_first() -> None:
    changes = compare(
        found(("/r/a", 1, 1, 1), ("/r/z", 7, 7, 99)), known(("/r/old", 7, 7, 7, "A")), ["/r"]
    )
    assert changes.candidates["path"].to_list() == ["/r/z", "/r/a"]


def test_links_outside_of_the_roots_or_unseen_are_left_alone() -> None:
    links = known(
        ("/elsewhere/a", 1, 1, 1, "A"),
        ("/r/locked/b", 1, 1, 1, "B"),
        ("/r2/c", 1, 1, 1, "C"),
        ("/r/d", 1, 1, 1, "D"),
    )
    changes = compare(found(), links, ["/r", "/r2"], unseen=["/r/locked", "/r2"])
    assert changes.missing.rows() == [("/r/d", "D")]


def test_a_path_with_two_contents_keeps_the_one_whose_facts_hold() -> None:
    changes = compare(
        found(("/r/a", 5, 5, 5)), known(("/r/a", 1, 1, 1, "OLD"), ("/r/a", 5, 5, 5, "NEW")), ["/r"]
    )
    assert changes.stale.rows() == [("/r/a", "OLD")]
    assert changes.candidates.is_empty()
    assert changes.unchanged == 1


def test_retried_paths_are_candidates_although_nothing_changed() -> None:
    changes = compare(
        found(("/r/a", 1, 1, 1), ("/r/b", 1, 1, 1)),
        known(("/r/a", 1, 1, 1, "A"), ("/r/b", 1, 1, 1, "B")),
        ["/r"],
        retry=["/r/b"],
    )
    assert changes.candidates.select("path", "old_ids").rows() == [("/r/b", ["B"])]
    assert changes.stale.is_empty()
