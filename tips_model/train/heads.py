"""Projection heads of the training losses; never part of the exported weights."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tips_model.tokenizer import Tokenizer
from tips_model.train.config import Captions, Head
from tips_model.train.supervision import Given

TEMPERED = ("features", "labels", "regions", "pointing")
"""The losses on given vectors and names that have their own temperature."""


class PrototypeHead(nn.Module):
    """MLP -> L2 norm -> scores against unit prototypes (DINO and iBOT convention).

    `Head.layers` counts the linear layers before the prototypes. The prototypes are
    weight-normed with the gain fixed at 1, so a score is a cosine.
    """

    def __init__(self, width: int, config: Head) -> None:
        super().__init__()
        sizes = [width, *[config.hidden] * (config.layers - 1), config.bottleneck]
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.GELU()]
        self.mlp = nn.Sequential(*layers[:-1])
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                # Unit variance through the layers: the L2 norm divides by the length of its input,
                # so DINO's std of 0.02 would give narrow heads gradients that drown the rest.
                nn.init.trunc_normal_(layer.weight, std=layer.in_features**-0.5)
                nn.init.zeros_(layer.bias)
        self.prototypes = nn.Parameter(torch.randn(config.prototypes, config.bottleneck) * 0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., D) -> scores (..., K), cosines in [-1, 1]; float32 under autocast too."""
        points = self.mlp(tokens)
        # Temperatures of a few hundredths would amplify the rounding of a bfloat16 product.
        with torch.autocast(points.device.type, enabled=False):
            points = F.normalize(points.float(), dim=-1, eps=1e-6)
            return F.linear(points, F.normalize(self.prototypes.float(), dim=-1, eps=1e-6))


class Heads(nn.Module):
    """The head for CLS and the head for patches: one module or two (`Head.shared`)."""

    def __init__(self, width: int, config: Head) -> None:
        super().__init__()
        self.cls = PrototypeHead(width, config)
        self.patch = self.cls if config.shared else PrototypeHead(width, config)


class FeatureHeads(nn.Module):
    """Linear maps to a frozen teacher's width, for distillation from plain features."""

    def __init__(self, width: int, teacher_width: int) -> None:
        super().__init__()
        self.cls = nn.Linear(width, teacher_width)
        self.patch = nn.Linear(width, teacher_width)


class GivenHeads(nn.Module):
    """Heads for the vectors and names that come with the data; discarded after training.

    `sentence`: the linear layer from sentence vectors to the shared space (`Objective.captions`);
    `feature`: the linear head to a teacher's vectors; one temperature for each loss, as its
    logarithm. Names are constants: sentence vectors, or tokens for the text tower.
    """

    def __init__(self, width: int, given: Given, tokenizer: Tokenizer, captions: Captions) -> None:
        super().__init__()
        self.given = given
        sentences = given.sentences
        self.sentence = nn.Linear(sentences.width, width) if sentences else nn.Identity()
        self.feature = nn.Linear(width, given.features) if given.features else nn.Identity()
        self.log_taus = nn.ParameterDict(
            {name: nn.Parameter(torch.tensor([math.log(0.07)])) for name in TEMPERED}
        )
        for kind, names in (("objects", given.objects), ("labels", given.labels)):
            if not names:
                continue
            if captions == "sentences":
                assert sentences is not None
                self.register_buffer(f"{kind}_vectors", sentences.of(names), persistent=False)
                continue
            tokens = tokenizer(names)
            self.register_buffer(f"{kind}_ids", tokens.ids, persistent=False)
            self.register_buffer(f"{kind}_paddings", tokens.paddings, persistent=False)
        self.captions = captions

    def tau(self, loss: str) -> Tensor:
        """The temperature of a loss, (1,)."""
        tau: Tensor = self.log_taus[loss].exp()
        return tau

    def names(self, kind: str, text: nn.Module) -> Tensor:
        """The names of `objects` or `labels` in the shared space, (C, D)."""
        if self.captions == "sentences":
            vectors: Tensor = self.sentence(getattr(self, f"{kind}_vectors"))
            return vectors
        return text(getattr(self, f"{kind}_ids"), getattr(self, f"{kind}_paddings"))  # type: ignore[no-any-return]
