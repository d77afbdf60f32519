"""The objective: a batch becomes named losses. Start reading here.

Passes of one step (section 3 of the TIPS paper; TIPSv2, section 3):
  the student sees the whole global crop       -> contrastive losses, and patches without a mask
  the teacher sees the same crop               -> targets; with the head-only EMA, and only then,
                                                  the student's pass serves as the teacher's
  the student sees M local crops (one pass)    -> self-distillation on the first CLS
  the student sees the masked crop             -> patch loss on masked (iBOT) or all tokens (iBOT++)
A pass whose loss has weight 0 is left out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tips_model.model import TIPS
from tips_model.train import losses
from tips_model.train.config import Objective
from tips_model.train.distributed import gather, gather_with_grad
from tips_model.train.heads import FeatureHeads, Heads
from tips_model.train.loader import Batch
from tips_model.train.teacher import Targets, Teacher
from tips_model.vision import VisionOutput


class Learner(nn.Module):
    """Everything that is trained: the model, the temperature's logarithm and the heads.

    The temperature is learned as log tau, so that it stays above 0 without a clip (published
    models end near 1/tau = 200 to 280); `model.temperature` receives tau when saving.
    """

    def __init__(self, model: TIPS, objective: Objective, heads: Heads | FeatureHeads | None):
        super().__init__()
        self.objective = objective
        self.vision = model.vision
        self.text = model.text
        self.heads = heads
        # One element and not a scalar, because FSDP2 shards no scalars.
        self.log_tau = nn.Parameter(torch.tensor([math.log(model.config.temperature)]))

    def forward(
        self, batch: Batch, weights: dict[str, float], teacher: Teacher | None, tau: float
    ) -> dict[str, Tensor]:
        """The losses that have a weight; `tau` is the teacher's temperature at this step."""
        pixels = batch.images.float() / 255
        whole = self.vision(pixels, late=batch.late)
        found: dict[str, Tensor] = {}
        if weights["web"]:
            text = self.text(batch.web_ids, batch.web_paddings)
            found["web"] = self._contrast(whole.cls_web, text, batch.web_keys)
        if weights["caption"]:
            text = self.text(batch.caption_ids, batch.caption_paddings)
            image = whole.cls_caption if self.objective.dual_cls else whole.cls_web
            found["caption"] = self._contrast(image, text, batch.caption_keys)
        if teacher is None or not (weights["distill"] or weights["masked"]):
            return found
        if len(batch.chosen) < len(pixels):
            pixels = pixels[batch.chosen]
            whole = VisionOutput(*(value[batch.chosen] for value in whole))
        targets = teacher(pixels, whole, tau)
        if weights["distill"]:
            found["distill"] = self._distill(batch, targets)
        if weights["masked"]:
            patches = whole.patches
            if batch.mask is not None:
                patches = self.vision(pixels, mask=batch.mask).patches
            found["masked"] = self._patches(patches.flatten(1, 2), batch.mask, targets)
        return found

    def _contrast(self, image: Tensor, text: Tensor, keys: Tensor) -> Tensor:
        positives = losses.caption_targets(keys, gather(keys))
        image, text = image.float(), text.float()
        all_image, all_text = gather_with_grad(image), gather_with_grad(text)
        return losses.contrastive(image, text, all_image, all_text, positives, self.log_tau.exp())

    def _distill(self, batch: Batch, targets: Targets) -> Tensor:
        assert batch.crops is not None, "self-distillation needs local crops"
        assert self.heads is not None, "self-distillation needs heads"
        pixels = batch.crops.flatten(0, 1).float() / 255
        local = self.heads.cls(self.vision(pixels).cls_web)
        local = local.unflatten(0, batch.crops.shape[:2])
        if isinstance(self.heads, FeatureHeads):
            teacher = targets.cls[:, None].expand_as(local)
            return losses.feature_distillation(local, teacher)
        return losses.distillation(local, targets.cls, self.objective.student_temperature)

    def _patches(self, patches: Tensor, mask: Tensor | None, targets: Targets) -> Tensor:
        assert self.heads is not None, "the patch loss needs heads"
        wanted = targets.patches
        if self.objective.patch_loss == "masked" and mask is not None:
            patches, wanted = patches[mask], wanted[mask]
        student = self.heads.patch(patches)
        if isinstance(self.heads, FeatureHeads):
            return losses.feature_distillation(student, wanted)
        return losses.masked_patches(student, wanted, self.objective.student_temperature)
