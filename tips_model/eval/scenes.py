"""Evaluation of a model on drawn scenes: fixed pictures, with seen and held-out drawings.

`SceneEvaluator` draws its scenes once and can be called at any step of a training run. Metrics:
names (one object per picture, all names to choose from), text-to-image recall of exact captions
among 1,000 scenes (second CLS), and pointing with the model's dense feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tips_model.eval.encode import PatchKind, encode_images, encode_texts
from tips_model.eval.names import name_accuracy
from tips_model.eval.pointing import Questions, centred, pointing
from tips_model.eval.retrieval import recall
from tips_model.model import TIPS
from tips_model.train.scenes.concepts import NAMES, article
from tips_model.train.scenes.plan import SceneSpec
from tips_model.train.scenes.source import Scenes, SceneSource

NAME_PROMPTS: tuple[str, ...] = tuple(article(name) for name in NAMES)
"""The prompts of the concepts, in their order."""

_ONE = SceneSpec(
    objects=(1, 1), size=(0.6, 0.9), rotation=10, stretch=0, hue=0, jitter=0, grey=0, junk=0,
    captions="names",
)  # fmt: skip
_MANY = SceneSpec(objects=(1, 5), junk=0, jitter=0.1, grey=0, hue=0.15)
_SEED = 20_000  # far from training seeds, so that no scene is ever shared


@dataclass(frozen=True, slots=True)
class _Split:
    single: Tensor
    labels: Tensor
    many: Tensor
    captions: list[str]
    questions: Questions


class SceneEvaluator:
    """Evaluation scenes of both splits, drawn once.

    `single` and `many`: pictures of one object and of several, per split; `single_size` and
    `size`: their sides in pixels.
    """

    def __init__(
        self,
        *,
        single: int = 1000,
        many: int = 1000,
        single_size: int = 64,
        size: int = 96,
        sources: dict[str, SceneSource] | None = None,
    ) -> None:
        if sources is None:
            sources = {
                "seen": SceneSource(seed=_SEED),
                "held_out": SceneSource(seed=_SEED, held_out=True),
            }
        self._splits = {
            name: _draw(source, single, many, single_size, size) for name, source in sources.items()
        }

    def __call__(self, model: TIPS, *, patches: PatchKind | None = None) -> dict[str, float]:
        """All metrics of a model, as fractions: {"seen name top1": ..., ...}."""
        names = encode_texts(model, NAME_PROMPTS)
        result: dict[str, float] = {}
        for key, split in self._splits.items():
            single = encode_images(model, split.single, patches=patches)
            named = name_accuracy(single.cls_web, names, split.labels)
            many = encode_images(model, split.many, patches=patches)
            texts = encode_texts(model, split.captions)
            own = [[index] for index in range(len(texts))]
            found = recall(texts, many.cls_caption, own, (1, 5))
            result |= {f"{key} name {k}": v for k, v in named.items()}
            result |= {f"{key} text_to_image {k}": v for k, v in found.items()}
            for kind, asked in (("pointing", names), ("pointing centred", centred(names))):
                for k, v in pointing(many.patches, asked, split.questions).items():
                    result[f"{key} {kind} {k}"] = v
        return result


def _draw(source: SceneSource, single: int, many: int, single_size: int, size: int) -> _Split:
    one = source.scenes(_ONE, single, (single_size, single_size), key=1)
    several = source.scenes(_MANY, many, (size, size), key=2)
    return _Split(
        single=torch.from_numpy(one.images),
        labels=torch.from_numpy(one.plan.concept[:, 0]),
        many=torch.from_numpy(several.images),
        captions=[captions[0] for captions in several.synthetic],
        questions=questions_of(several),
    )


def questions_of(scenes: Scenes, least: int = 24) -> Questions:
    """One question for each object of which at least `least` pixels are visible."""
    owner = torch.from_numpy(scenes.owner)
    places = scenes.plan.concept.shape[1]
    masks = owner[:, None] == torch.arange(places)[:, None, None]  # (B, K, H, W)
    image, place = torch.nonzero(masks.sum((2, 3)) >= least, as_tuple=True)
    concept = torch.from_numpy(scenes.plan.concept)
    return Questions(
        image=image, name=concept[image, place], mask=masks[image, place], foreground=owner >= 0
    )
