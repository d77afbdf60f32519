"""The named training runs (presets). A variant calls a base function and changes a few named
fields.

`nano` is the bundled model, `debug` a run of a minute for tests; `tips_*` and `tipsv2_*` follow the
papers (their learning rates, warm-ups and heads are not published: the values here are conventions,
see `config.py`; AdamW replaces their Adafactor, which cannot be sharded); `distill_*` train a
student from a frozen larger model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from tips_model.config import DRAWN, VARIANTS, TextConfig, TIPSConfig, VisionConfig
from tips_model.train.config import (
    ConfigError,
    Head,
    Objective,
    Optimizer,
    Stage,
    TrainConfig,
    Weights,
)

FULL = Weights(distill=1.0, masked=2.0)
SIZES = ("s14", "b14", "l14", "so14", "g14")

WARMED = Objective(teacher_temperature=(0.04, 0.07), temperature_steps=30_000)
"""The teacher's temperature rises over 30,000 steps, a convention (DINOv2: 30 epochs)."""
V1 = replace(WARMED, teacher="ema", patch_loss="masked")
V2 = replace(WARMED, teacher="head", patch_loss="all", momentum=(0.994, 0.994))
SMALL_HEAD = Head(layers=2, hidden=256, bottleneck=64, prototypes=1024)


GIVEN = Weights(
    web=1.0, caption=0.5, features=1.0, labels=0.5, regions=0.5, pointing=0.5, sentences=0.5
)
"""Losses for photographs with machine labels: captions, a teacher, labels, and names of places."""


def nano() -> TrainConfig:
    """The bundled model: photographs with captions, labels, boxes and a teacher's vectors, and
    drawn scenes.

    Captions are sentence vectors until the end, so that all steps train the vision tower; dropping
    half of the patches pays for more steps; training at 112 pixels is refined at 168, and the text
    tower is trained last.
    """
    see = Stage(
        name="see",
        steps=2716,
        batch=256,
        resolution=112,
        global_scale=(0.35, 1.0),
        box_crops=0.25,
        jitter=0.2,
        patch_dropout=0.5,
        texts=128,
        weights=GIVEN,
        final=1.0,
    )
    fine = replace(see, name="fine", steps=260, resolution=168, restart=True, warmup=0, final=None)
    whole = replace(fine, name="whole", steps=60, patch_dropout=0.0, restart=False)
    read = replace(
        whole,
        name="read",
        steps=600,
        texts=512,
        weights=Weights(web=0.0, caption=0.0, sentences=1.0),
        restart=True,
        warmup=50,
        lr=0.5,
    )
    return TrainConfig(
        name="nano",
        model=VARIANTS["nano"],
        stages=(see, fine, whole, read),
        objective=Objective(teacher="none", captions="sentences"),
        optimizer=Optimizer(kind="muon", lr=1.5e-3, matrix_lr=0.02, betas=(0.9, 0.98), warmup=200),
        save_every=100,
        log_every=20,
        keep=4,
    )


def drawn() -> TrainConfig:
    """Drawn scenes only: names, several things together, their places, then all losses.

    Scenes have their own variation of view and colour, and their captions mention left and right,
    so pictures are neither cropped nor mirrored here. Self-supervised losses from the start prevent
    a model of this size from learning names at all, so they come last with a small weight.
    """
    names = Stage(
        name="names",
        data="objects",
        steps=1600,
        batch=128,
        resolution=64,
        global_scale=(1.0, 1.0),
        flip=0.0,
    )
    scenes = replace(names, name="scenes", data="mixed", steps=1500, restart=True, lr=0.4)
    places = replace(scenes, name="places", data="mixed-many", resolution=96, late_cls=0.5)
    again = replace(places, name="again", lr=0.3)
    full = replace(
        again,
        name="full",
        steps=300,
        restart=False,
        crops=2,
        crop_resolution=40,
        crop_scale=(0.1, 0.4),
        self_share=0.25,
        weights=Weights(distill=0.25, masked=0.5),
        ramp=100,
    )
    return TrainConfig(
        name="drawn",
        model=DRAWN,
        stages=(names, scenes, places, again, full),
        objective=replace(
            V2, head=SMALL_HEAD, teacher_temperature=(0.04, 0.04), temperature_steps=0
        ),
        optimizer=Optimizer(kind="muon", lr=2e-3, matrix_lr=0.02, betas=(0.9, 0.98), warmup=100),
        precision="fp32",
        save_every=100,
        log_every=10,
        keep=4,
        evaluate_every=500,  # 20 seconds out of about 15 minutes
    )


def debug() -> TrainConfig:
    """A few steps of everything with a tiny model, on scenes."""
    base = drawn()
    model = TIPSConfig(
        name="debug",
        vision=VisionConfig(width=32, depth=2, heads=2, mlp_hidden=64, patch=8, grid=4),
        text=TextConfig(
            width=32, depth=1, heads=2, mlp_hidden=64, vocab=VARIANTS["nano"].text.vocab
        ),
        image_size=32,
    )
    names, *_, full = base.stages
    names = replace(names, steps=4, batch=8, resolution=32)
    full = replace(
        full, steps=4, batch=8, resolution=32, crop_resolution=16, ramp=2, self_share=1.0
    )
    return replace(
        base,
        name="debug",
        model=model,
        stages=(names, full),
        objective=replace(
            V2,
            head=Head(layers=2, hidden=32, bottleneck=16, prototypes=64),
            temperature_steps=4,
        ),
        optimizer=replace(base.optimizer, warmup=2),
        log_every=1,
        save_every=4,
        evaluate_scenes=50,
    )


def _large(
    name: str, model: TIPSConfig, low: tuple[int, int], high: tuple[int, int]
) -> TrainConfig:
    """The papers' two stages, (steps, batch) each: 224 px with 6 x 98, then 448 with 6 x 140."""
    stage = Stage(
        name="low",
        steps=low[0],
        batch=low[1],
        resolution=224,
        crops=6,
        crop_resolution=98,
        weights=FULL,
    )
    return TrainConfig(
        name=name,
        model=model,
        stages=(
            stage,
            replace(
                stage,
                name="high",
                steps=high[0],
                batch=high[1],
                resolution=448,
                crop_resolution=140,
                restart=True,
                lr=0.1,
            ),
        ),
        optimizer=Optimizer(kind="adamw", lr=5e-4, warmup=max(1, low[0] // 50)),
        parallel="fsdp",
        checkpoint_blocks=True,
        pad_captions=64,
        workers=8,
        log_every=50,
        save_every=1000,
    )


def tips(size: str) -> TrainConfig:
    """TIPS (v1): EMA of the whole encoder, iBOT, one synthetic caption; 70 epochs of batch 16k."""
    model = replace(VARIANTS[f"tips-{size}-hr"], name=f"tips_{size}")
    config = _large(f"tips_{size}", model, (496_000, 16_384), (2_800, 4_096))
    return replace(config, objective=V1)


def tipsv2(size: str) -> TrainConfig:
    """TIPSv2: head-only EMA, iBOT++, a drawn caption; 90k steps of 8,192, then 9k of 4,096."""
    model = replace(VARIANTS[f"tipsv2-{size}"], name=f"tipsv2_{size}")
    config = _large(f"tipsv2_{size}", model, (90_000, 8_192), (9_000, 4_096))
    return replace(config, objective=V2)


def distill(size: str) -> TrainConfig:
    """A student of TIPSv2 g/14 from random weights: frozen teacher, all patches, no mask.

    Published weights have no heads, so the targets are plain features.
    """
    config = tipsv2(size)
    return replace(
        config,
        name=f"distill_{size}",
        model=replace(config.model, name=f"distill_{size}"),
        objective=replace(
            V2, teacher="frozen", teacher_model="tipsv2-g14", targets="features", mask_ratio=0.0
        ),
    )


def distill_nano(teacher: str = "runs/drawn") -> TrainConfig:
    """A second model of drawn scenes, distilled from the first (the folder of its run): its heads'
    targets, no mask."""
    base = drawn()
    return replace(
        base,
        name="distill_nano",
        objective=replace(base.objective, teacher="frozen", teacher_model=teacher, mask_ratio=0.0),
    )


PRESETS: dict[str, Callable[[], TrainConfig]] = {
    "nano": nano,
    "debug": debug,
    **{f"tips_{size}": partial(tips, size) for size in SIZES},
    **{f"tipsv2_{size}": partial(tipsv2, size) for size in SIZES if size != "s14"},
    **{f"distill_{size}": partial(distill, size) for size in ("b14", "l14", "so14")},
    "distill_nano": distill_nano,
    "drawn": drawn,
}


def preset(name: str) -> TrainConfig:
    """The run called `name`. An unknown name raises ConfigError that lists the known ones."""
    if name not in PRESETS:
        raise ConfigError(f"There is no preset '{name}'; there are {', '.join(PRESETS)}.")
    return PRESETS[name]()
