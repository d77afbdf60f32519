"""The training configuration: frozen dataclasses, validated on construction.

A run is one `TrainConfig`; `presets.py` holds the named ones. The recipes of the papers (v1, v2,
distillation) differ in the fields of `Objective`, not in code. If a paper gives no value, the
default follows the conventions of DINO, iBOT and DINOv2, and the field says so.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from tips_model.config import TIPSConfig
from tips_model.errors import TipsError

TeacherKind = Literal["none", "ema", "head", "frozen"]
PatchLoss = Literal["masked", "all"]
Targets = Literal["prototypes", "features"]
OptimizerKind = Literal["muon", "adamw", "adafactor"]
Captions = Literal["tower", "sentences"]


class ConfigError(TipsError):
    """An invalid training configuration."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """Weights of the named losses. The papers: 0.5 and 0.5, 1 (alpha), 2 (beta), and no others."""

    web: float = 0.5
    caption: float = 0.5
    distill: float = 0.0
    masked: float = 0.0
    features: float = 0.0
    """The picture's vector against a teacher's given vector (the table's column `features`)."""
    labels: float = 0.0
    """The picture classified among the table's names: given probabilities, and its boxes' names."""
    regions: float = 0.0
    """The dense features of a box, pooled, classified among the names of all boxes."""
    pointing: float = 0.0
    """The share of a name's softmax over the patches that falls into its boxes."""
    sentences: float = 0.0
    """The text tower against given sentence vectors."""

    @property
    def pictures(self) -> bool:
        """Whether any loss uses pictures."""
        return any(getattr(self, name) for name in PICTURE_LOSSES)


LOSSES = tuple(field.name for field in dataclasses.fields(Weights))
"""The names of all losses."""
PAPERS_LOSSES = ("web", "caption", "distill", "masked")
PICTURE_LOSSES = tuple(name for name in LOSSES if name != "sentences")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A phase of the run with its own data, resolution, batch size and loss weights."""

    name: str
    data: str = "default"
    """What the source should provide (its own names, such as `single` or `scenes`)."""
    steps: int
    batch: int
    """Images per optimiser step over all processes."""
    accumulate: int = 1
    """Passes per step (gradient accumulation); the contrastive negatives are those of one pass."""
    resolution: int
    """Side of the global crop in pixels, a multiple of the patch."""
    global_scale: tuple[float, float] = (0.4, 1.0)
    """Area fractions of the global crop; (1, 1) keeps the whole picture. SILC's range."""
    crops: int = 0
    """Local crops for each image (papers: 6)."""
    crop_resolution: int = 0
    crop_scale: tuple[float, float] = (0.05, 0.4)
    flip: float = 0.5
    """Probability of a mirrored image; images whose captions mention left or right are never
    mirrored.
    """
    jitter: float = 0.0
    """Strength of brightness, contrast and saturation changes; the papers use none."""
    self_share: float = 1.0
    """Fraction of the pictures that the self-supervised losses see, in (0, 1]; papers: all."""
    late_cls: float = 0.0
    """Fraction of the pictures whose CLS tokens enter the vision tower at its last block, in [0,
    1]; papers: none. It makes small models put the content that text names into the last block's
    values."""
    patch_dropout: float = 0.0
    """Fraction of the patches that the vision tower drops, drawn for each picture, in [0, 1) (FLIP,
    arXiv 2212.00794); end with a stage that drops none."""
    box_crops: float = 0.0
    """Fraction of the pictures that are crops around one of their boxes, captioned with its name,
    in [0, 1].
    """
    texts: int = 0
    """Texts per step over all processes that the loss `sentences` draws from the given ones."""
    weights: Weights = field(default_factory=Weights)
    ramp: int = 0
    """Steps of a linear ramp from the previous stage's weights (at the start: from 0 for the
    self-supervised ones) to this stage's."""
    lr: float = 1.0
    """Factor on the learning rates in this stage."""
    restart: bool = False
    """Start a new warm-up and cosine here; else the schedule continues from the stage before."""
    warmup: int | None = None
    """Warm-up steps if the schedule starts with this stage; None: `Optimizer.warmup`."""
    final: float | None = None
    """End value of the cosine that ends with this stage, as a fraction of the peak; None:
    `Optimizer.final`; 1 is a constant rate, so that a run can be extended later."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """Projection head: MLP, L2 norm, weight-normed prototypes (DINO and iBOT convention)."""

    layers: int = 3
    hidden: int = 2048
    bottleneck: int = 256
    prototypes: int = 32768
    shared: bool = True
    """One head for CLS and patches, which is consistent with the reported parameter
    saving of 42 %.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """The fields in which v1, v2 and distillation differ, and their constants."""

    teacher: TeacherKind = "head"
    """`ema`: EMA of vision tower and head (v1); `head`: EMA of the head only (v2); `frozen`:
    another model (distillation); `none`: contrastive only."""
    teacher_model: str = ""
    """Name or folder of the frozen teacher."""
    targets: Targets = "prototypes"
    """The outputs of a frozen teacher to match: prototype scores of its own heads, or plain
    features (for published weights, which come without heads)."""
    patch_loss: PatchLoss = "all"
    """`masked`: iBOT; `all`: iBOT++."""
    mask_ratio: float = 0.75
    captions: Captions = "tower"
    """How captions and names are embedded: `tower`, by the text tower, or `sentences`, as given
    vectors of a sentence model through one linear layer; the loss `sentences` then teaches the text
    tower to match that layer's output."""
    dual_cls: bool = True
    """False: both caption kinds are matched with the first CLS (for ablations)."""
    head: Head = field(default_factory=Head)
    momentum: tuple[float, float] = (0.994, 0.999)
    """Teacher momentum, cosine from the first to the second. Stays below 1, because with a
    contrastive loss the teacher must keep up (SILC)."""
    student_temperature: float = 0.1
    teacher_temperature: tuple[float, float] = (0.07, 0.07)
    """Linear warm-up from the first to the second over `temperature_steps` (DINOv2: 0.04, 0.07)."""
    temperature_steps: int = 0
    centre_momentum: float = 0.9


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimizer:
    """Optimiser, schedule and layer-wise settings."""

    kind: OptimizerKind = "adamw"
    """Adafactor, the papers' choice, needs unsharded weights: `parallel='ddp'`."""
    lr: float = 5e-4
    """Peak rate of AdamW or Adafactor (of everything but the blocks' matrices under Muon)."""
    matrix_lr: float = 0.02
    """Peak rate of Muon."""
    momentum: float = 0.95
    """Momentum of Muon."""
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.05
    """On matrices and tables; never on biases, norms and single tokens."""
    warmup: int = 100
    """Steps of linear warm-up."""
    final: float = 0.0
    """Learning rate at the end as a fraction of the peak (cosine between)."""
    clip: float = 1.0
    """Largest norm of the gradient; 0 disables clipping."""
    layer_decay: float = 1.0
    """Factor on the rate for each block counted from the top."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """A whole run: model, stages, objective, optimiser and execution settings."""

    name: str
    model: TIPSConfig
    stages: tuple[Stage, ...]
    objective: Objective = field(default_factory=Objective)
    optimizer: Optimizer = field(default_factory=Optimizer)
    seed: int = 0
    init: str = ""
    """Name or folder of a model to start from; empty: random."""
    precision: Literal["bf16", "fp32"] = "bf16"
    parallel: Literal["ddp", "fsdp"] = "ddp"
    checkpoint_blocks: bool = False
    """Recompute activations in backward (activation checkpointing)."""
    compile: bool = False
    pad_captions: int = 0
    """Caption length in tokens; 0 pads to the longest of the batch. Use it with `compile`."""
    workers: int = 1
    """Threads that prepare the next batches."""
    log_every: int = 10
    save_every: int = 500
    keep: int = 3
    evaluate_every: int = 0
    """Steps between evaluations, if the data allow one; 0: at the end only."""
    evaluate_scenes: int = 1000
    """Pictures of each kind in an evaluation on scenes."""
    bad_limit: int = 100
    """Unreadable items that all processes together may skip."""

    def __post_init__(self) -> None:
        """Reject an invalid configuration. Raises ConfigError with one sentence."""
        for problem in _problems(self):
            raise ConfigError(f"Preset '{self.name}': {problem}.")

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return sum(stage.steps for stage in self.stages)

    def at(self, step: int) -> tuple[int, int]:
        """Global step -> (index of its stage, step within the stage). The end maps to the last
        stage.
        """
        for index, stage in enumerate(self.stages):
            if step < stage.steps:
                return index, step
            step -= stage.steps
        return len(self.stages) - 1, self.stages[-1].steps

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as written beside checkpoints and to the log."""
        return dataclasses.asdict(self)


LEAST = {
    "workers": 1, "log_every": 1, "save_every": 1, "keep": 1, "evaluate_every": 0,
    "evaluate_scenes": 1, "bad_limit": 0, "pad_captions": 0,
}  # fmt: skip
"""The smallest values of a run's counts."""


def _problems(config: TrainConfig) -> list[str]:
    """Why the configuration is invalid, phrased to follow a colon."""
    objective, found = config.objective, []
    if not config.stages:
        found.append("it has no stages")
    for stage in config.stages:
        found += [f"stage '{stage.name}' {problem}" for problem in _stage_problems(stage, config)]
    if objective.teacher == "frozen" and not objective.teacher_model:
        found.append("a frozen teacher needs `teacher_model`, the name or folder of a model")
    if objective.targets == "features" and objective.teacher != "frozen":
        found.append("`targets='features'` is for a frozen teacher only")
    if len(set(objective.teacher_temperature)) > 1 and objective.temperature_steps < 1:
        found.append("a `teacher_temperature` that changes needs `temperature_steps` of at least 1")
    found += [
        f"`{name}` is {getattr(config, name)}, it must be at least {least}"
        for name, least in LEAST.items()
        if getattr(config, name) < least
    ]
    if not 0 <= objective.mask_ratio < 1:
        found.append(f"`mask_ratio` is {objective.mask_ratio}, it must be in [0, 1)")
    if objective.patch_loss == "masked" and objective.mask_ratio == 0:
        found.append("the loss on masked patches needs a `mask_ratio` above 0")
    if config.optimizer.kind == "adafactor" and config.parallel == "fsdp":
        # torch.optim.Adafactor updates its row and column means in place, which DTensor rejects.
        found.append(
            "Adafactor cannot update weights that FSDP has sharded, take `kind='adamw'`, or "
            "`parallel='ddp'`"
        )
    return found


def _stage_problems(stage: Stage, config: TrainConfig) -> list[str]:
    patch, weights, found = config.model.vision.patch, stage.weights, []
    if stage.steps < 1 or stage.batch < 1 or stage.accumulate < 1:
        found.append("needs `steps`, `batch` and `accumulate` of at least 1")
    if stage.resolution < patch or stage.resolution % patch:
        found.append(f"has resolution {stage.resolution}, not a multiple of the patch {patch}")
    if stage.crops and (stage.crop_resolution < patch or stage.crop_resolution % patch):
        size = stage.crop_resolution
        found.append(f"has crop resolution {size}, not a multiple of the patch {patch}")
    for name in ("global_scale", "crop_scale"):
        low, high = getattr(stage, name)
        if not 0 < low <= high <= 1:
            found.append(f"has `{name}` ({low}, {high}), it must rise within (0, 1]")
    for name in LOSSES:
        if not getattr(weights, name) >= 0:
            found.append(f"has the weight {getattr(weights, name)} on `{name}`, below 0")
    if not 0 < stage.self_share <= 1:
        found.append(f"has `self_share` {stage.self_share}, it must be in (0, 1]")
    for name in ("late_cls", "box_crops"):
        if not 0 <= getattr(stage, name) <= 1:
            found.append(f"has `{name}` {getattr(stage, name)}, it must be in [0, 1]")
    if not 0 <= stage.patch_dropout < 1:
        found.append(f"has `patch_dropout` {stage.patch_dropout}, it must be in [0, 1)")
    if stage.patch_dropout and (weights.distill or weights.masked):
        found.append("has `patch_dropout` with self-supervised losses, which need all patches")
    if bool(weights.sentences) != bool(stage.texts):
        found.append("needs `texts` and a weight on `sentences`, both or none")
    if stage.texts < 0 or (stage.warmup is not None and stage.warmup < 0):
        found.append("has `texts` or `warmup` below 0")
    if stage.final is not None and not 0 <= stage.final <= 1:
        found.append(f"has `final` {stage.final}, it must be in [0, 1]")
    if weights.distill and not stage.crops:
        found.append("has a weight on self-distillation but no local crops")
    if (weights.distill or weights.masked) and config.objective.teacher == "none":
        found.append("has self-supervised losses but the objective has no teacher")
    if not (weights.pictures or weights.sentences):
        found.append("has no loss with a weight above 0")
    return found
