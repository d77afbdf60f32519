"""The papers' ablation on photographs with a small model: one step of the recipe after the other.

    python bench/ablation.py --data TABLE --eval COCO-FOLDER --out runs/ablation --jobs 2 --seeds 3
    python bench/ablation.py --out runs/ablation --report

TABLE is a training table (`tips data`) with web and synthetic captions, boxes and its own
tokenizer; COCO-FOLDER holds photographs that are not in it, with boxes and captions. A photograph
without a web caption lends its synthetic ones to the runs on web captions, and the other way round.

All runs have the same steps, batches, data order and optimiser; a seed changes the initial weights
and the data. Names are learned first and contrastively, because a model of this size learns none
under self-supervised losses from the start; runs that differ only after that begin from the same
names. The student alone begins with random weights and has its teacher from the first step. Beside
the papers' steps stands one of ours, names on places: losses on the boxes' names.

Captions go through the text tower, as in the papers, and not as a sentence model's vectors: a run
begins from the exported model of its names, which holds the tower and not the layer that such
vectors go through.

A finished run leaves result.json and is not repeated, a stopped one resumes. The report is
Markdown: mean and standard deviation over seeds, then every step's differences seed by seed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from ablation_report import report, results
from ablation_runs import NAMES, ORDER, RUNS, config, needs

from tips_model import TIPS, load
from tips_model.atomic import replacing
from tips_model.errors import TipsError
from tips_model.eval.boxes import box_questions
from tips_model.eval.coco import CocoSet, EvalDataError, read_coco_set
from tips_model.eval.encode import PatchKind, encode_texts
from tips_model.eval.pointing import centred
from tips_model.eval.run import evaluate, possible_tasks, views
from tips_model.eval.tasks import Options, Setting
from tips_model.locks import lock
from tips_model.train.data import open_data
from tips_model.train.dataset import check_table
from tips_model.train.names import OBJECTS, read_names
from tips_model.train.source import DataError
from tips_model.train.train import run

TASKS: dict[PatchKind, tuple[str, ...]] = {
    "values": ("retrieval", "search", "segmentation"),
    "final": ("segmentation", "probe", "knn"),
}
"""Patch feature -> what is evaluated with it, beside pointing."""
SMALL = ("< 10 %", "10-40 %")
"""Names that cover less of their picture are pointed at; larger ones lie in its middle anyway."""


def one(name: str, seed: int, data: Path, pictures: Path, out: Path) -> None:
    """Train and evaluate one run; leaves result.json (empty for names)."""
    torch.set_num_threads(1)
    folder, chosen = out / f"{name}-{seed}", config(name, seed, out)
    source, tokenizer = open_data(str(data), chosen)
    if not run(chosen, source, tokenizer, folder, resume=True).finished:
        raise SystemExit(1)
    found: dict[str, float] = {}
    if name in RUNS:
        found = measured(load(str(folder / "model")), read_coco_set(pictures))
    with replacing(folder / "result.json") as file:
        file.write((json.dumps(found, indent=1) + "\n").encode())


def measured(model: TIPS, data: CocoSet) -> dict[str, float]:
    """All figures of a model on a set, as fractions, by "patch feature task metric"."""
    found: dict[str, float] = {}
    for patches, tasks in TASKS.items():
        for task, metric, value in evaluate(model, data, tasks, Options(patches=patches)).rows():
            found[f"{patches} {task} {metric}"] = value
        found |= {f"{patches} pointing {k}": v for k, v in pointed(model, data, patches).items()}
    return found


def pointed(model: TIPS, data: CocoSet, patches: PatchKind) -> dict[str, float]:
    """Pointing at names of `SMALL` boxes, as they are and `centred`: "hit", "middle", "chance" and
    the same with "centred " before them, as fractions.
    """
    names = encode_texts(model, data.categories)
    texts = torch.cat([names, centred(names)])
    points = torch.empty(len(data.images), len(texts), 2, dtype=torch.float64)
    for view, _, _ in views(Setting(model, data, Options(patches=patches), names)):
        rows, columns = view.patches.shape[:2]
        best = (view.patches.flatten(0, 1) @ texts.T).argmax(dim=0)
        x, y = (best % columns + 0.5) / columns, (best // columns + 0.5) / rows
        points[view.index] = torch.stack([x, y], dim=-1)
    questions, found = box_questions(data), dict[str, float]()
    for number, kind in enumerate(("", "centred ")):
        at = points[questions.image, questions.name + number * len(names)].numpy()
        shares = [row for share, row in questions.figures(at).items() if share in SMALL]
        counts = [row["count"] for row in shares]
        for key in ("hit", "middle", "chance"):
            found[kind + key] = float(np.average([row[key] for row in shares], weights=counts))
    return found


def check(data: Path, pictures: Path) -> None:
    """Raises DataError or EvalDataError for a table or a folder at which some run would end."""
    check_table(data)
    if not read_names(data, OBJECTS):
        raise DataError(f"The table in {data} has no boxes: import it with boxes.")
    found = read_coco_set(pictures)
    wanted = {task for tasks in TASKS.values() for task in tasks}
    if not wanted <= set(possible_tasks(found)) or box_questions(found).area.min() >= 0.4:
        raise EvalDataError(
            f"{pictures} needs captions, names that three pictures show, and boxes below 40 % of "
            "their picture: name another folder."
        )


def claim(data: Path, pictures: Path, out: Path) -> None:
    """Note in `out` what its runs are of. Raises DataError where they are of something else."""
    note, own = out / "of.json", {"data": str(data.resolve()), "eval": str(pictures.resolve())}
    if note.is_file() and json.loads(note.read_text()) != own:
        raise DataError(f"{out} holds runs on other data ({note}): choose another folder.")
    with replacing(note) as file:
        file.write((json.dumps(own, indent=1) + "\n").encode())


def everything(data: Path, pictures: Path, out: Path, seeds: int, jobs: int) -> None:
    """All runs that have no result yet, `jobs` at once, each on one core; one seed after the
    other. After one that failed no other begins; raises TipsError that names it.
    """
    check(data, pictures)
    claim(data, pictures, out)
    started: dict[tuple[str, int], Future[None]] = {}

    def start(name: str, seed: int) -> None:
        for other in needs(name):
            started[other, seed].result()
        log = out / f"{name}-{seed}.log"
        command = [sys.executable, __file__, "--data", str(data), "--eval", str(pictures)]
        command += ["--out", str(out), "--one", name, "--seed", str(seed)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        with log.open("a") as file:
            # The run holds the lock too: one that outlived a killed command is waited for.
            lock(file.fileno(), wait=True)
            if (out / f"{name}-{seed}" / "result.json").is_file():
                return
            done = subprocess.run(command, stdout=file, stderr=file, env=environment, check=False)
        print(name, seed, "failed" if done.returncode else "done", file=sys.stderr, flush=True)
        if done.returncode:  # also after Ctrl-C, which all runs get
            pool.shutdown(wait=False, cancel_futures=True)
            raise TipsError(
                f"The run {name} of seed {seed} ended early, see {log}: rerun to resume."
            )

    # What a run waits for was handed to the pool before it, so the pool cannot stand still.
    with ThreadPoolExecutor(jobs) as pool:
        for seed in range(seeds):
            for name in ("names", *NAMES.values(), *ORDER):
                started[name, seed] = pool.submit(start, name, seed)
    for run_ in started.values():
        if not run_.cancelled():
            run_.result()


def main() -> None:
    """Train what is missing, then print the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="the training table's folder")
    parser.add_argument("--eval", type=Path, help="other photographs, a folder in COCO's format")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="runs at once (2)")
    parser.add_argument("--report", action="store_true", help="only print the report")
    parser.add_argument(
        "--one", choices=["names", *NAMES.values(), *RUNS], help="train one run here"
    )
    parser.add_argument("--seed", type=int, default=0, help="of --one")
    options = parser.parse_args()
    if not options.report and not (options.data and options.eval):
        parser.error("training needs --data and --eval")
    try:
        if options.one:
            one(options.one, options.seed, options.data, options.eval, options.out)
            return
        if not options.report:
            everything(options.data, options.eval, options.out, options.seeds, options.jobs)
        print(report(results(options.out)))
    except TipsError as error:
        parser.exit(2, f"{error}\n")
    except KeyboardInterrupt:
        parser.exit(1, "Stopped: rerun to resume.\n")


if __name__ == "__main__":
    main()
