"""The training objective: the forward passes of a step and its named losses. Start reading here.

Passes of one step (section 3 of the TIPS paper; TIPSv2, section 3):
  the student sees the whole global crop       -> contrastive losses, and patches without a mask
  the teacher sees the same crop               -> targets; with the head-only EMA, and only then,
                                                  the student's pass serves as the teacher's
  the student sees M local crops (one pass)    -> self-distillation on the first CLS
  the student sees the masked crop             -> patch loss on masked (iBOT) or all tokens (iBOT++)

Beside the papers' losses there are those on data from a table: a teacher's vectors, names of
pictures, names of places (on the dense features that are compared with text in a search), and
sentence vectors for the text tower. A pass whose loss has weight 0 is skipped.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tips_model.model import TIPS
from tips_model.train import losses
from tips_model.train.batch import Batch
from tips_model.train.config import Objective, Weights
from tips_model.train.distributed import all_mean, gather, gather_with_grad, rank, world
from tips_model.train.heads import FeatureHeads, GivenHeads, Heads
from tips_model.train.teacher import Targets, Teacher
from tips_model.vision import VisionOutput

LENGTHS = 4
"""The texts of a step are split into this many groups of similar length."""
LARGEST_POINTED = 0.6
"""Names whose boxes cover more of the picture are skipped: pointing at them says little."""


def _mean(total: Tensor, count: Tensor) -> Tensor:
    """This process's share of the mean over the items of all processes, from its sum and count."""
    return total / all_mean(count.float()).clamp_min(1 / world())


class Learner(nn.Module):
    """All trained parts: the model, the temperatures' logarithms and the heads.

    The temperature is learned as log tau, so that it stays above 0 without clipping (published
    models end near 1/tau = 200 to 280); `model.temperature` receives tau when saving.
    """

    def __init__(
        self,
        model: TIPS,
        objective: Objective,
        heads: Heads | FeatureHeads | None,
        given: GivenHeads | None = None,
    ):
        super().__init__()
        self.objective = objective
        self.vision = model.vision
        self.text = model.text
        self.heads = heads
        self.given = given
        # One element and not a scalar, because FSDP2 cannot shard scalars.
        self.log_tau = nn.Parameter(torch.tensor([math.log(model.config.temperature)]))

    def forward(
        self, batch: Batch, weights: dict[str, float], teacher: Teacher | None, tau: float
    ) -> dict[str, Tensor]:
        """The losses with a nonzero weight; `tau` is the teacher's temperature at this step."""
        wanted = Weights(**weights)
        found: dict[str, Tensor] = {}
        if wanted.sentences:
            found["sentences"] = self._sentences(batch)
        if not wanted.pictures:
            return found
        pixels = batch.images.float() / 255
        dense = bool(wanted.regions or wanted.pointing)
        whole = self.vision(pixels, late=batch.late, kept=batch.kept, values=dense)
        if wanted.web:
            text = self._captions(batch.web_ids, batch.web_paddings, batch.web_vectors)
            found["web"] = self._contrast(whole.cls_web, text, batch.web_keys)
        if wanted.caption:
            text = self._captions(batch.caption_ids, batch.caption_paddings, batch.caption_vectors)
            image = whole.cls_caption if self.objective.dual_cls else whole.cls_web
            found["caption"] = self._contrast(image, text, batch.caption_keys)
        if self.given is not None:
            found |= self._given(batch, wanted, whole)
        if teacher is None or not (wanted.distill or wanted.masked):
            return found
        if dense:  # the self-supervised losses need the ordinary patches
            whole = self.vision(pixels, late=batch.late)
        if len(batch.chosen) < len(pixels):
            pixels = pixels[batch.chosen]
            whole = VisionOutput(*(value[batch.chosen] for value in whole))
        targets = teacher(pixels, whole, tau)
        if wanted.distill:
            found["distill"] = self._distill(batch, targets)
        if wanted.masked:
            patches = whole.patches
            if batch.mask is not None:
                patches = self.vision(pixels, mask=batch.mask).patches
            found["masked"] = self._patches(patches.flatten(1, 2), batch.mask, targets)
        return found

    def _captions(self, ids: Tensor, paddings: Tensor, vectors: Tensor | None) -> Tensor:
        """Captions (B, D): by the text tower, or given vectors through the linear layer."""
        if vectors is None:
            return self.text(ids, paddings)  # type: ignore[no-any-return]
        assert self.given is not None, "sentence vectors need their layer"
        found: Tensor = self.given.sentence(vectors)
        return found

    def _sentences(self, batch: Batch) -> Tensor:
        """The text tower's vectors against the linear layer's outputs for the given sentence
        vectors.
        """
        assert self.given is not None
        assert batch.text_ids is not None
        assert batch.text_paddings is not None
        with torch.no_grad():
            wanted = self.given.sentence(batch.text_vectors)
        lengths = (batch.text_paddings == 0).sum(dim=1)
        own, order = [], lengths.argsort()
        for part in order.chunk(LENGTHS):  # similar lengths, else most tokens are padding
            longest = int(lengths[part].max())
            ids, paddings = batch.text_ids[part], batch.text_paddings[part]
            own.append(self.text(ids[:, :longest], paddings[:, :longest]))
        return losses.sentences(torch.cat(own), wanted[order])

    def _given(self, batch: Batch, wanted: Weights, whole: VisionOutput) -> dict[str, Tensor]:
        """The losses on a teacher's vectors and on names of pictures and places."""
        given, found = self.given, dict[str, Tensor]()
        assert given is not None
        if wanted.features:
            assert batch.features is not None
            student = given.feature(whole.cls_web)
            found["features"] = _mean(
                *losses.given_features(
                    student,
                    gather_with_grad(student),
                    batch.features,
                    gather(batch.features),
                    rank() * len(student),
                    given.tau("features"),
                )
            )
        if wanted.labels:
            tau, found["labels"] = given.tau("labels"), whole.cls_web.new_zeros(())
            targets = {"labels": batch.label_targets, "objects": batch.object_targets}
            for kind, target in targets.items():
                if target is not None and target.shape[1]:
                    names = given.names(kind, self.text)
                    found["labels"] = found["labels"] + _mean(
                        *losses.named(whole.cls_web, names, target, tau)
                    )
        if wanted.regions or wanted.pointing:
            found |= self._places(batch, wanted, whole.patches)
        return found

    def _places(self, batch: Batch, wanted: Weights, patches: Tensor) -> dict[str, Tensor]:
        """The dense features in the boxes against the boxes' names. patches (B, h, w, D), or (B, 1,
        n, D) of the kept ones."""
        given, found = self.given, dict[str, Tensor]()
        assert given is not None
        assert batch.boxes is not None
        assert batch.box_pictures is not None
        assert batch.box_names is not None
        names = given.names("objects", self.text)
        side = batch.images.shape[-1] // self.vision.config.patch
        covers = losses.cover(batch.boxes, side, side)
        if batch.kept is not None:
            covers = covers.gather(1, batch.kept[batch.box_pictures])
        seen = covers.sum(dim=1) > 0
        covers, pictures = covers[seen], batch.box_pictures[seen]
        numbers = batch.box_names[seen]
        flat = patches.flatten(1, 2)
        if wanted.regions:
            own = losses.pooled(flat[pictures], covers)
            target = F.one_hot(numbers, len(names)).float()
            found["regions"] = _mean(*losses.named(own, names, target, given.tau("regions")))
        if wanted.pointing:
            asked, place = torch.unique(pictures * len(names) + numbers, return_inverse=True)
            inside = covers.new_zeros(len(asked), covers.shape[1])
            inside = inside.scatter_reduce(
                0, place[:, None].expand_as(covers), covers, "amax", include_self=True
            )
            small = inside.mean(dim=1) < LARGEST_POINTED
            asked, inside = asked[small], inside[small]
            with torch.autocast(flat.device.type, enabled=False):
                vectors = F.normalize(flat.float(), dim=-1)[asked // len(names)]
                words = F.normalize(names.float(), dim=-1)[asked % len(names)]
                scores = torch.einsum("mnd,md->mn", vectors, words) / given.tau("pointing")
            found["pointing"] = _mean(
                losses.pointing(scores, inside), torch.tensor(len(asked), device=flat.device)
            )
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
