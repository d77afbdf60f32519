"""What the runs of the ablation found: means, and differences seed by seed, in Markdown."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from ablation_runs import RUNS, STEPS

from tips_model.train.source import DataError

COLUMNS = (
    ("T→I R@1", "values retrieval web text_to_image R@1"),
    ("T→I R@10", "values retrieval web text_to_image R@10"),
    ("name P@1", "values search web P@1"),
    ("name mAP", "values search web mAP"),
    ("pointing, values", "values pointing hit"),
    ("pointing, values, centred", "values pointing centred hit"),
    ("pointing, final", "final pointing hit"),
    ("pointing, final, centred", "final pointing centred hit"),
    ("mIoU, values", "values segmentation miou"),
    ("mIoU, final", "final segmentation miou"),
    ("probe mIoU", "final probe miou"),
    ("k-NN", "final knn web"),
)
"""Heading, figure. Captions and names are held against the first CLS, which all runs train and
which learns from people's captions, as those of the evaluation are."""
REFERENCES = (
    ("chance for name P@1", "values search chance P@1"),
    ("for name mAP", "values search chance mAP"),
    ("for pointing", "values pointing chance"),
    ("pointing always at the middle of the picture", "values pointing middle"),
)

Results = dict[str, dict[int, dict[str, float]]]
"""Run -> seed -> figure."""


def results(out: Path) -> Results:
    """What finished runs left in `out`, by run and seed. Raises DataError if there are none."""
    found: Results = {}
    for name in RUNS:
        for file in sorted(out.glob(f"{name}-[0-9]*/result.json")):
            seed = int(file.parent.name.removeprefix(f"{name}-"))
            found.setdefault(name, {})[seed] = json.loads(file.read_text())
    if not found:
        raise DataError(f"{out} holds no finished run: start without --report.")
    return found


def report(found: Results) -> str:
    """Two tables in Markdown, in percent: all runs, and what each of `STEPS` changes."""
    own = next(iter(next(iter(found.values())).values()))
    chances = ", ".join(f"{title} {100 * own[key]:.1f}" for title, key in REFERENCES)
    return f"""{means(found)}

In percent, mean ± standard deviation over seeds; {chances}.

{differences(found)}

Percentage points, from the least to the largest of the seeds; bold where all seeds moved the same \
way, as one figure in four does by chance with three seeds.
"""


def means(found: Results) -> str:
    """The runs in Markdown: number of seeds, mean ± standard deviation of each column."""
    lines = _head("run", "seeds")
    for name, own in found.items():
        cells = [RUNS[name][0], str(len(own))]
        for _, key in COLUMNS:
            values = [100 * result[key] for result in own.values()]
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.1f}{spread}")
        lines.append(_row(cells))
    return "\n".join(lines)


def differences(found: Results) -> str:
    """Each of `STEPS` in Markdown, seed by seed: least and largest difference, bold where all of
    two or more seeds moved the same way.
    """
    lines = _head("from", "to", "seeds")
    for before, after in STEPS:
        old, new = found.get(before, {}), found.get(after, {})
        seeds = sorted(old.keys() & new.keys())
        if not seeds:
            continue
        cells = [RUNS[before][0], RUNS[after][0], str(len(seeds))]
        for _, key in COLUMNS:
            moved = [100 * (new[seed][key] - old[seed][key]) for seed in seeds]
            low, high = min(moved), max(moved)
            cell = f"{low:+.1f} to {high:+.1f}" if len(seeds) > 1 else f"{low:+.1f}"
            cells.append(f"**{cell}**" if len(seeds) > 1 and (low > 0 or high < 0) else cell)
        lines.append(_row(cells))
    return "\n".join(lines)


def _head(*first: str) -> list[str]:
    titles = [*first, *(title for title, _ in COLUMNS)]
    return [_row(titles), "|" + "---|" * len(titles)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
