"""The runs of the ablation: what each trains, what it begins from, which are compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from tips_model.config import TextConfig, TIPSConfig, VisionConfig
from tips_model.train.config import Objective, Optimizer, Stage, TrainConfig, Weights
from tips_model.train.presets import SMALL_HEAD

MODEL = TIPSConfig(
    name="ablation",
    vision=VisionConfig(width=128, depth=6, heads=4, mlp_hidden=512, patch=14, grid=8),
    text=TextConfig(width=128, depth=2, heads=4, mlp_hidden=512, vocab=12_000, max_length=64),
    image_size=112,
    dense="values",
    prompts="plain",
)
NAMES_STEPS, REST_STEPS, BATCH = 800, 300, 64
PRECISION: Literal["bf16", "fp32"] = "bf16"
"""Faster by half on processors that multiply bfloat16, as most servers do since 2023."""
WEB = Weights(web=1.0, caption=0.0)
BOTH = Weights(web=0.5, caption=0.5)
DISTILL = replace(BOTH, distill=0.25)
WHOLE = replace(DISTILL, masked=0.5)
PLACES = {"regions": 0.5, "pointing": 0.5}

BASE = Objective(teacher="none", head=SMALL_HEAD, teacher_temperature=(0.04, 0.04))
EMA = replace(BASE, teacher="ema", patch_loss="masked", momentum=(0.994, 0.994))
V2 = replace(EMA, patch_loss="all", teacher="head")
RUNS: dict[str, tuple[str, Objective, Weights]] = {
    "clip": ("web captions only (CLIP)", BASE, WEB),
    "one_cls": ("+ synthetic captions, one CLS", replace(BASE, dual_cls=False), BOTH),
    "dual_cls": ("dual CLS", BASE, BOTH),
    "distill": ("+ self-distillation", EMA, DISTILL),
    "ibot": ("+ iBOT", EMA, WHOLE),
    "ibot_pp": ("iBOT++ for iBOT", replace(EMA, patch_loss="all"), WHOLE),
    "head_ema": ("head-only EMA (v2)", V2, WHOLE),
    "student": (
        "student of the v2 run, no mask",
        replace(V2, teacher="frozen", mask_ratio=0.0),
        WHOLE,
    ),
    "places": ("dual CLS + names on places", BASE, replace(BOTH, **PLACES)),
    "v2_places": ("v2 + names on places", V2, replace(WHOLE, **PLACES)),
}
"""Name -> (what the report calls it, objective, weights of the second stage)."""
TEACHER = "head_ema"
NAMES = {"clip": "names_clip", "one_cls": "names_one_cls"}
"""Run -> the run of names that it begins from, `names` where none is said."""
ORDER = (
    "head_ema", "v2_places", "ibot_pp", "ibot", "student", "distill", "places", "dual_cls",
    "one_cls", "clip",
)  # fmt: skip
"""The long runs and those that others wait for come first."""
STEPS = (
    ("clip", "one_cls"),
    ("one_cls", "dual_cls"),
    ("dual_cls", "distill"),
    ("distill", "ibot"),
    ("ibot", "ibot_pp"),
    ("ibot_pp", "head_ema"),
    ("head_ema", "student"),
    ("dual_cls", "places"),
    ("head_ema", "v2_places"),
)
"""What the report compares: a run and the one that changes one thing in it."""


def config(name: str, seed: int, out: Path) -> TrainConfig:
    """The run `name` of a seed, or the names (`names`, `names_clip`, ...) that runs begin from."""
    names = name.startswith("names")
    origin = name.removeprefix("names").removeprefix("_") or "dual_cls" if names else name
    _, objective, weights = RUNS[origin]
    if objective.teacher == "frozen":
        objective = replace(objective, teacher_model=str(out / f"{TEACHER}-{seed}"))
    first = Stage(
        name="names",
        steps=NAMES_STEPS,
        batch=BATCH,
        resolution=MODEL.image_size,
        patch_dropout=0.5,
        weights=weights,
    )
    rest = replace(
        first,
        name="rest",
        steps=REST_STEPS,
        patch_dropout=0.0,
        self_share=0.5,
        crops=2,
        crop_resolution=4 * MODEL.vision.patch,
        crop_scale=(0.1, 0.4),
        restart=True,
        lr=0.5,
    )
    if names:
        stages: tuple[Stage, ...] = (first,)
    elif name == "student":
        stages = (replace(rest, name="names", steps=NAMES_STEPS, restart=False, lr=1.0), rest)
    else:
        stages = (replace(rest, ramp=REST_STEPS // 5),)
    start = "" if names or name == "student" else f"{NAMES.get(name, 'names')}-{seed}/model"
    return TrainConfig(
        name=name,
        model=MODEL,
        stages=stages,
        objective=objective,
        optimizer=Optimizer(kind="muon", lr=1.5e-3, matrix_lr=0.02, betas=(0.9, 0.98), warmup=100),
        seed=seed,
        init=str(out / start) if start else "",
        precision=PRECISION,
        save_every=100,
        keep=1,
    )


def needs(name: str) -> tuple[str, ...]:
    """The runs of the same seed that must be there before the run `name`."""
    if name.startswith("names"):
        return ()
    return (TEACHER,) if name == "student" else (NAMES.get(name, "names"),)
