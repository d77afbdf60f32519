"""The papers' ablation at the scale of nano: one step of the recipe after the other, on scenes.

    python bench/ablation.py --out runs/ablation --jobs 2 --seeds 3
    python bench/ablation.py --out runs/ablation --report

All runs have the same steps, batches, data order and optimiser; a seed changes the initial weights
and the data. Names are learned first and contrastively, because a model of this size learns none
under self-supervised losses from the start (see the model card of nano); runs that differ only
after that begin from the same names. The student alone begins with random weights and has its
teacher from the first step. A finished run leaves result.json and is not repeated, a stopped one
resumes. The report is a table in Markdown: mean and standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from tips_model import load
from tips_model.eval.coco import CocoSet, read_coco_set
from tips_model.eval.run import evaluate
from tips_model.eval.tasks import Options
from tips_model.tokenizer import Tokenizer
from tips_model.train.config import Objective, TrainConfig, Weights
from tips_model.train.presets import SMALL_HEAD, nano
from tips_model.train.scenes import SceneSource
from tips_model.train.scenes.export import write_coco
from tips_model.train.scenes.render import load_bank
from tips_model.train.scenes.source import spec_of
from tips_model.train.scenes.vocabulary import train_tokenizer
from tips_model.train.train import run

EVERY = 6
"""Every sixth concept is drawn: few are told apart after few steps."""
NAMES_STEPS, SCENES_STEPS, BATCH, SIDE = 450, 360, 64, 64
PRECISION: Literal["bf16", "fp32"] = "bf16"
"""Faster by half on processors that multiply bfloat16, as most servers do since 2023."""
PICTURES = 1000
WEB = Weights(web=1.0, caption=0.0)
BOTH = Weights(web=0.5, caption=0.5)
DISTILL = replace(BOTH, distill=0.25)
WHOLE = replace(DISTILL, masked=0.5)

BASE = Objective(teacher="none", head=SMALL_HEAD, teacher_temperature=(0.04, 0.04))
EMA = replace(BASE, teacher="ema", patch_loss="masked", momentum=(0.994, 0.994))
RUNS: dict[str, tuple[str, Objective, Weights]] = {
    "clip": ("web captions only (CLIP)", BASE, WEB),
    "one_cls": ("+ synthetic captions, one CLS", replace(BASE, dual_cls=False), BOTH),
    "dual_cls": ("dual CLS", BASE, BOTH),
    "distill": ("+ self-distillation", EMA, DISTILL),
    "ibot": ("+ iBOT", EMA, WHOLE),
    "ibot_pp": ("iBOT++ for iBOT", replace(EMA, patch_loss="all"), WHOLE),
    "head_ema": ("head-only EMA (v2)", replace(EMA, patch_loss="all", teacher="head"), WHOLE),
    "student": (
        "student of the v2 run, no mask",
        replace(EMA, patch_loss="all", teacher="frozen", mask_ratio=0.0),
        WHOLE,
    ),
}
"""Name -> (what the report calls it, objective, weights of the second stage)."""
TEACHER = "head_ema"
NAMES = {"clip": "names_clip", "one_cls": "names_one_cls"}
"""Run -> the run of names that it begins from, `names` where none is said."""
ORDER = ("head_ema", "ibot_pp", "ibot", "student", "distill", "dual_cls", "one_cls", "clip")
"""The long runs and those that others wait for come first."""
ONE_CLS = ("clip", "one_cls")
"""Runs that train the first CLS only: captions are found by that one."""

COLUMNS = (
    ("T->I R@1", "values", "retrieval", "{head} text_to_image R@1"),
    ("pointing, values", "values", "pointing", "hit"),
    ("pointing, final", "final", "pointing", "hit"),
    ("mIoU, values", "values", "segmentation", "miou"),
    ("mIoU, final", "final", "segmentation", "miou"),
    ("probe mIoU", "final", "probe", "miou"),
    ("k-NN", "final", "knn", "web"),
)
"""Heading, patch feature, task, metric."""


def config(name: str, seed: int, out: Path) -> TrainConfig:
    """The run `name` of a seed, or the names (`names`, `names_clip`, ...) that runs begin from."""
    names = name.startswith("names")
    origin = name.removeprefix("names").removeprefix("_") or "dual_cls" if names else name
    _, objective, weights = RUNS[origin]
    if objective.teacher == "frozen":
        objective = replace(objective, teacher_model=str(out / f"{TEACHER}-{seed}"))
    views: dict[str, Any] = {
        "weights": weights,
        "self_share": 0.5,
        "crops": 2,
        "crop_resolution": 32,
        "crop_scale": (0.1, 0.4),
    }
    base = nano()
    first = replace(base.stages[0], steps=NAMES_STEPS, batch=BATCH, resolution=SIDE)
    second = replace(
        first, name="scenes", data="mixed", steps=SCENES_STEPS, restart=True, lr=0.5, **views
    )
    if names:
        stages = (replace(first, weights=weights),)
    elif name == "student":
        stages = (replace(first, **views), second)
    else:
        stages = (replace(second, ramp=SCENES_STEPS // 5),)
    start = "" if names or name == "student" else f"{NAMES.get(name, 'names')}-{seed}/model"
    return replace(
        base,
        name=name,
        model=replace(base.model, image_size=SIDE),
        stages=stages,
        objective=objective,
        seed=seed,
        init=str(out / start) if start else "",
        precision=PRECISION,
        save_every=100,
        keep=2,
    )


def scenes(seed: int) -> SceneSource:
    """Scenes of the concepts that are drawn here."""
    bank = load_bank().training()
    return SceneSource(seed=seed, bank=bank.select(bank.concept % EVERY == 0))


def of_few_names(data: CocoSet) -> CocoSet:
    """The set with the names of the drawn concepts only to choose from."""
    images = tuple(
        replace(
            image,
            objects=tuple(
                replace(thing, category=thing.category // EVERY) for thing in image.objects
            ),
        )
        for image in data.images
    )
    return CocoSet(images, data.categories[::EVERY])


def one(name: str, seed: int, out: Path) -> None:
    """Train and evaluate one run; leaves result.json (empty for names)."""
    torch.set_num_threads(1)
    folder = out / f"{name}-{seed}"
    result = run(
        config(name, seed, out),
        scenes(seed),
        Tokenizer(train_tokenizer()),
        folder,
        resume=True,
    )
    if not result.finished:
        raise SystemExit(1)
    found: dict[str, float] = {}
    if name in RUNS:
        model, data = load(str(folder / "model")), of_few_names(read_coco_set(out / "pictures"))
        for patches in ("values", "final"):
            wanted = {task for _, kind, task, _ in COLUMNS if kind == patches}
            table = evaluate(model, data, sorted(wanted), Options(patches=patches))
            for task, metric, value in table.iter_rows():
                found[f"{patches} {task} {metric}"] = value
    part = folder / "result.part"
    part.write_text(json.dumps(found, indent=1) + "\n")
    part.replace(folder / "result.json")


def everything(out: Path, seeds: int, jobs: int) -> None:
    """All runs that have no result yet, `jobs` at once, each on one core; one seed after the
    other.
    """
    if not (out / "pictures" / "instances.json").is_file():
        spec = replace(spec_of("mixed"), solo=0.0, junk=0.0)
        write_coco(out / "pictures", scenes(20_000), spec, PICTURES, (SIDE, SIDE))

    started: dict[tuple[str, int], Future[None]] = {}

    def start(name: str, seed: int) -> None:
        if (out / f"{name}-{seed}" / "result.json").is_file():
            return
        for other in needs(name):
            started[other, seed].result()
        log = (out / f"{name}-{seed}.log").open("a")
        command = [sys.executable, __file__, "--out", str(out), "--one", name, "--seed", str(seed)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, stdout=log, stderr=log, env=environment, check=False)
        print(name, seed, "done" if done.returncode == 0 else "failed", flush=True)
        done.check_returncode()

    # What a run waits for was handed to the pool before it, so the pool cannot stand still.
    with ThreadPoolExecutor(jobs) as pool:
        for seed in range(seeds):
            for name in ("names", *NAMES.values(), *ORDER):
                started[name, seed] = pool.submit(start, name, seed)
    for run_ in started.values():
        run_.result()  # a failed one ends the command here


def needs(name: str) -> tuple[str, ...]:
    """The runs of the same seed that must be there before the run `name`."""
    if name.startswith("names"):
        return ()
    return (TEACHER,) if name == "student" else (NAMES.get(name, "names"),)


def report(out: Path) -> str:
    """The table in Markdown, in percent: mean ± standard deviation (number of seeds)."""
    lines = ["| run | seeds | " + " | ".join(c[0] for c in COLUMNS) + " |"]
    lines.append("|---|---|" + "---|" * len(COLUMNS))
    for name, (title, _, _) in RUNS.items():
        files = sorted(out.glob(f"{name}-[0-9]*/result.json"))
        results = [json.loads(file.read_text()) for file in files]
        if not results:
            continue
        cells = []
        head = "web" if name in ONE_CLS else "caption"
        for _, kind, task, metric in COLUMNS:
            key = f"{kind} {task} {metric.format(head=head)}"
            values = [100 * result[key] for result in results]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{statistics.mean(values):.1f} ± {spread:.1f}")
        lines.append(f"| {title} | {len(results)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Train what is missing, then print the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--report", action="store_true", help="only print the table")
    parser.add_argument(
        "--one", choices=["names", *NAMES.values(), *RUNS], help="train one run here"
    )
    parser.add_argument("--seed", type=int, default=0, help="of --one")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.one:
        one(options.one, options.seed, options.out)
        return
    if not options.report:
        everything(options.out, options.seeds, options.jobs)
    print(report(options.out))


if __name__ == "__main__":
    main()
