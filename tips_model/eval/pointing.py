"""Pointing: does the patch nearest to a name lie on the named object?

Letters: Q questions (an object of a picture), N pictures, h x w patches, H x W pixels, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Questions:
    """Objects to find: image (Q,) index of the picture; name (Q,) index of the name; mask (Q, H, W)
    bool of the visible pixels; foreground (N, H, W) bool: pixels of any object.
    """

    image: Tensor
    name: Tensor
    mask: Tensor
    foreground: Tensor


def pointing(patches: Tensor, names: Tensor, questions: Questions) -> dict[str, float]:
    """Fractions of all questions, patches (N, h, w, D) and names (C, D) of unit norm.

    "hit": the best patch's centre lies on the object; "hit_any": on any object; "right_given_hit":
    the first over the second; "chance": mean fraction of the picture that the object covers.
    """
    rows, columns = patches.shape[1:3]
    height, width = questions.mask.shape[1:]
    flat = patches.flatten(1, 2)
    similarity = torch.einsum("qnd,qd->qn", flat[questions.image], names[questions.name])
    best = similarity.argmax(1)
    y = ((best // columns).float() + 0.5) * height / rows
    x = ((best % columns).float() + 0.5) * width / columns
    y, x = y.long(), x.long()
    every = torch.arange(len(best))
    hit = questions.mask[every, y, x].float().mean()
    hit_any = questions.foreground[questions.image, y, x].float().mean()
    return {
        "hit": float(hit),
        "hit_any": float(hit_any),
        "right_given_hit": float(hit / hit_any.clamp_min(1e-9)),
        "chance": float(questions.mask.float().mean()),
    }


def centred(names: Tensor) -> Tensor:
    """Names (C, D), C >= 2, without their shared direction, renormalised.

    That direction means "a picture of a thing", and patches without any object contain it too; the
    heatmaps of a search compare a text with contrast texts for the same reason.
    """
    return F.normalize(names - names.mean(dim=0), dim=-1)
