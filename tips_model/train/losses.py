"""The losses of TIPS and TIPSv2 as pure functions of tensors: no state, no collectives.

Letters: B pictures of this process, G pictures of all processes, D width, K prototypes,
M local crops, N patches. Everything is computed in float32. Each function says its formula; the
papers are arXiv 2410.16512 (TIPS) and 2604.12012 (TIPSv2).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def caption_targets(keys: Tensor, all_keys: Tensor) -> Tensor:
    """Which of all captions are positives for each of the local ones: (B, G), each row sums to 1.

    `keys` (B) and `all_keys` (G) are numbers that are equal for identical captions: a caption that
    occurs n times is n positives of weight 1/n, not one positive and n - 1 false negatives.
    """
    same = (keys[:, None] == all_keys[None, :]).float()
    return same / same.sum(dim=1, keepdim=True)


def contrastive(
    image: Tensor, text: Tensor, all_image: Tensor, all_text: Tensor, targets: Tensor, tau: Tensor
) -> Tensor:
    """Softmax InfoNCE, both ways, averaged (the L_CLIP of both papers); a scalar.

    `image`, `text` (B, D) are the local embeddings, `all_image`, `all_text` (G, D) those of all
    processes, `targets` (B, G) comes from `caption_targets`; `tau` is the temperature.
    With cosines s: 1/2 mean_i [-sum_j t_ij log softmax_j(s_ij / tau)] and the same from text.
    """
    # Autocast would compute the products in bfloat16 whatever their inputs, and 1 / tau of a few
    # hundred would turn the rounding into logit errors of 0.25.
    with torch.autocast(image.device.type, enabled=False):
        image, text = F.normalize(image.float(), dim=-1), F.normalize(text.float(), dim=-1)
        all_image = F.normalize(all_image.float(), dim=-1)
        all_text = F.normalize(all_text.float(), dim=-1)
        from_image = F.cross_entropy(image @ all_text.T / tau, targets)
        from_text = F.cross_entropy(text @ all_image.T / tau, targets)
        return (from_image + from_text) / 2


def teacher_targets(scores: Tensor, centre: Tensor, tau: float) -> Tensor:
    """Centred and sharpened teacher distribution softmax((scores - centre) / tau); (..., K)."""
    return F.softmax((scores.float() - centre) / tau, dim=-1)


def distillation(student: Tensor, targets: Tensor, tau: float) -> Tensor:
    """Self-distillation on CLS (Eq. 1): cross-entropy, mean over pictures and local crops.

    `student` (B, M, K) scores of the local crops, `targets` (B, K) of the global crop's teacher.
    """
    log_p = F.log_softmax(student.float() / tau, dim=-1)
    return -(targets[:, None] * log_p).sum(dim=-1).mean()


def masked_patches(student: Tensor, targets: Tensor, tau: float) -> Tensor:
    """Patch loss: cross-entropy, mean over the given tokens.

    `student` and `targets` (..., K): the masked tokens give iBOT (Eq. 2 of TIPS), all tokens
    iBOT++ (Eq. 3 of TIPSv2). The mean over tokens keeps the weight beta's meaning in both.
    """
    return -(targets * F.log_softmax(student.float() / tau, dim=-1)).sum(dim=-1).mean()


def feature_distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """1 - cosine, mean over the leading axes of (..., D): distillation from plain features."""
    return (1 - F.cosine_similarity(student.float(), teacher.float(), dim=-1)).mean()


def given_features(
    student: Tensor,
    all_student: Tensor,
    teacher: Tensor,
    all_teacher: Tensor,
    first: int,
    tau: Tensor,
) -> tuple[Tensor, Tensor]:
    """Distillation from given vectors; (sum over the pictures that have one, their number).

    `student` (B, F) comes from a linear head, `teacher` (B, F) are the given vectors, a row of
    zeros if missing; `all_*` (G, F) are those of all processes, of which the local ones start at
    `first`. For each picture: softmax InfoNCE over all pictures that have a vector, both ways,
    averaged, plus 1 - cosine.
    """
    with torch.autocast(student.device.type, enabled=False):
        own = teacher.any(dim=1)
        absent = ~all_teacher.any(dim=1)
        student, all_student = (F.normalize(v.float(), dim=-1) for v in (student, all_student))
        teacher, all_teacher = (F.normalize(v.float(), dim=-1) for v in (teacher, all_teacher))
        place = torch.arange(first, first + len(student), device=student.device)[own]
        there = (student[own] @ all_teacher.T / tau).masked_fill(absent, float("-inf"))
        back = (teacher[own] @ all_student.T / tau).masked_fill(absent, float("-inf"))
        contrast = F.cross_entropy(there, place, reduction="sum")
        contrast = (contrast + F.cross_entropy(back, place, reduction="sum")) / 2
        apart = (1 - (student[own] * teacher[own]).sum(dim=-1)).sum()
        return contrast + apart, own.sum()


def named(vectors: Tensor, names: Tensor, targets: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """Classification of vectors (K, D) among names (C, D); (sum over the rows with a target, their
    number).

    Cross-entropy of softmax(cosine / tau) against `targets` (K, C), whose rows sum to 1, or to 0 if
    unknown.
    """
    with torch.autocast(vectors.device.type, enabled=False):
        vectors, names = F.normalize(vectors.float(), dim=-1), F.normalize(names.float(), dim=-1)
        log_p = F.log_softmax(vectors @ names.T / tau, dim=-1)
        return -(targets * log_p).sum(), (targets.sum(dim=1) > 0).sum()


def cover(boxes: Tensor, rows: int, columns: int) -> Tensor:
    """The fraction of each patch that a box covers: boxes (K, 4), x0, y0, x1, y1 as fractions of
    the picture, on a grid of rows x columns -> (K, rows * columns) in [0, 1]."""

    def along(low: Tensor, high: Tensor, count: int) -> Tensor:
        edges = torch.arange(count + 1, device=boxes.device, dtype=boxes.dtype) / count
        shared = torch.minimum(high[:, None], edges[1:]) - torch.maximum(low[:, None], edges[:-1])
        return shared.clamp_min(0) * count

    x, y = along(boxes[:, 0], boxes[:, 2], columns), along(boxes[:, 1], boxes[:, 3], rows)
    return (y[:, :, None] * x[:, None, :]).flatten(1)


def pooled(patches: Tensor, covers: Tensor) -> Tensor:
    """Mean of the patches (K, N, D) weighted by coverage (K, N): (K, D), not normalised."""
    weight = covers / covers.sum(dim=1, keepdim=True).clamp_min(1e-6)
    return torch.einsum("kn,knd->kd", weight.to(patches.dtype), patches)


def pointing(scores: Tensor, inside: Tensor) -> Tensor:
    """-log of the share of softmax(scores) over the patches (M, N) that falls `inside`, (M, N) in
    [0, 1]; a sum over the M questions."""
    share = (F.softmax(scores.float(), dim=-1) * inside).sum(dim=-1)
    return -share.clamp_min(1e-6).log().sum()


def sentences(text: Tensor, wanted: Tensor) -> Tensor:
    """1 - cosine of the text tower's vectors (T, D) and their targets (T, D); the mean."""
    return feature_distillation(text, wanted)


def total(losses: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """The weighted sum of the named losses; a name without a weight is an error."""
    return torch.stack([weights[name] * value for name, value in losses.items()]).sum()
