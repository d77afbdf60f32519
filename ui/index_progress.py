"""Progress bar and final report of an indexing run, on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ui.formatting import counted, shown
from ui.render import facts_table, photo_progress, print_json, say, talk

if TYPE_CHECKING:
    from indexer.progress import IndexReport, Progress, ProgressCallback

STAGES = {
    "scan": "Looking for photos",
    "load": "Loading the model",
    "index": "Indexing",
    "reread": "Reading facts again",
    "publish": "Publishing",
    "tidy": "Tidying up",
}


def both(first: ProgressCallback, second: ProgressCallback) -> ProgressCallback:
    """One callback that calls both."""

    def show(progress: Progress) -> None:
        first(progress)
        second(progress)

    return show


@contextmanager
def index_progress() -> Iterator[ProgressCallback]:
    """A progress bar on stderr for the running stage."""
    with photo_progress() as bar:
        running = "scan"
        task = bar.add_task(STAGES[running], total=None)

        def show(progress: Progress) -> None:
            nonlocal running, task
            if progress.stage != running:
                running = progress.stage
                bar.remove_task(task)  # a total, once set, cannot be unset
                task = bar.add_task(STAGES[running], total=progress.total)
            failed = f", {progress.failed:,} failed" if progress.failed else ""
            bar.update(
                task,
                description=STAGES[running] + failed,
                completed=progress.done,
                total=progress.total,
            )

        yield show


def print_report(report: IndexReport, *, as_json: bool) -> None:
    """Print the report as JSON on stdout, or as a table on stderr; either way, report what could
    not be scanned.
    """
    for root in report.missing_roots:
        say(f"{shown(root)} is missing; its photos stay in the collection.", "yellow")
    for place, count in report.away:
        say(
            f"{shown(place)}: a disk is missing with {counted(count, 'file')}; the photos stay in "
            "the collection.",
            "yellow",
        )
    for root, count in report.held:
        say(
            f"{shown(root)}: {count:,} files are gone, more than a third; their photos stay in the "
            "collection, in case a disk is missing. If you deleted them, run `tips prune`.",
            "yellow",
        )
    for path, reason in report.problems:
        say(f"{shown(path)}: {reason}", "yellow")
    if as_json:
        print_json(report.to_dict())
        return
    if report.left_out:
        say(f"Not looked at: {left_out(report.left_out)}.")
    names = ("new", "modified", "moved", "copied", "removed", "unchanged", "failed", "reread")
    rows = [(name, f"{getattr(report, name):,}") for name in names if getattr(report, name)]
    rows.append(("time", f"{report.seconds:.1f} s"))
    if report.embedded:
        rows.append(("rate", f"{report.images_per_second:.1f} photos/s"))
    talk().print(facts_table(rows))
    if report.failed:
        say("tips status --failed says why photos could not be read.")


_REASONS = {
    "": "without an ending",
    "hidden": "hidden",
    "ignored": "ignored by your patterns",
    "default": "folders of thumbnails and other copies",
    ".nomedia": "folders with a .nomedia",
}
_MOST_ENDINGS = 8


def left_out(counts: Mapping[str, int]) -> str:
    """What a scan did not look at, in words: the most frequent endings, then the reasons."""
    endings = sorted((name for name in counts if name not in _REASONS), key=lambda n: -counts[n])
    parts = [f"{counts[name]:,} {shown(name)}" for name in endings[:_MOST_ENDINGS]]
    if rest := sum(counts[name] for name in endings[_MOST_ENDINGS:]):
        parts.append(f"{rest:,} of other endings")
    parts += [f"{counts[name]:,} {text}" for name, text in _REASONS.items() if counts.get(name)]
    return ", ".join(parts)
