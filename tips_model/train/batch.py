"""The training batch: its tensors, moving it to a device, and splitting it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """The data of one process in one step: B pictures, M local crops of each, N patches.

    The self-supervised losses see S of the pictures (all, unless `Stage.self_share` is below 1).
    """

    images: Tensor
    """Global crops, uint8 (B, 3, R, R)."""
    chosen: Tensor
    """int64 (S,), the indices of the pictures that the self-supervised losses see."""
    late: Tensor | None
    """bool (B,), the pictures whose CLS tokens enter at the last block; see `Stage.late_cls`."""
    crops: Tensor | None
    """Local crops, uint8 (S, M, 3, r, r)."""
    mask: Tensor | None
    """bool (S, N), True where the student's patch is masked."""
    web_ids: Tensor
    web_paddings: Tensor
    web_keys: Tensor
    """int64 (B,), equal for identical captions."""
    caption_ids: Tensor
    caption_paddings: Tensor
    caption_keys: Tensor
    kept: Tensor | None = None
    """int64 (B, n), the patches that enter the vision tower; see `Stage.patch_dropout`."""
    web_vectors: Tensor | None = None
    caption_vectors: Tensor | None = None
    """float32 (B, S), the captions as given sentence vectors."""
    features: Tensor | None = None
    """float32 (B, F), a teacher's vectors; a row of zeros if missing."""
    label_targets: Tensor | None = None
    object_targets: Tensor | None = None
    """float32 (B, L) and (B, O): probabilities of names, rows of zeros if unknown."""
    boxes: Tensor | None = None
    box_pictures: Tensor | None = None
    box_names: Tensor | None = None
    """float32 (K, 4), x0, y0, x1, y1 as fractions of the crop; int64 (K,) each."""
    text_ids: Tensor | None = None
    text_paddings: Tensor | None = None
    text_vectors: Tensor | None = None
    """The texts that teach the text tower, with their float32 (T, S) sentence vectors."""

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        moved = {
            f.name: value.to(device, non_blocking=True)
            for f in fields(self)
            if (value := getattr(self, f.name)) is not None
        }
        return replace(self, **moved)

    def split(self, parts: int) -> list[Batch]:
        """`parts` batches of equal size, for gradient accumulation."""
        return [self] if parts == 1 else [self._part(i, parts) for i in range(parts)]

    def _part(self, part: int, parts: int) -> Batch:
        """Part number `part` of `parts`: its pictures with their data, and its texts."""

        def share(count: int) -> slice:
            return slice(part * (count // parts), (part + 1) * (count // parts))

        own = share(len(self.images))
        chosen = (self.chosen >= own.start) & (self.chosen < own.stop)
        rows: dict[str, Tensor | slice] = {"crops": chosen, "mask": chosen, "chosen": chosen}
        if self.box_pictures is not None:
            boxed = (self.box_pictures >= own.start) & (self.box_pictures < own.stop)
            rows |= {"boxes": boxed, "box_names": boxed, "box_pictures": boxed}
        if self.text_vectors is not None:
            texts = share(len(self.text_vectors))
            rows |= {"text_ids": texts, "text_paddings": texts, "text_vectors": texts}
        cut = {
            f.name: value[rows.get(f.name, own)]
            for f in fields(self)
            if (value := getattr(self, f.name)) is not None
        }
        for name in ("chosen", "box_pictures"):
            if name in cut:
                cut[name] = cut[name] - own.start
        return replace(self, **cut)


def no_pictures() -> Batch:
    """The batch of a step whose losses use no pictures."""
    none = torch.empty(0, dtype=torch.int64)
    return Batch(
        images=torch.empty(0, 3, 0, 0, dtype=torch.uint8),
        chosen=none,
        late=None,
        crops=None,
        mask=None,
        web_ids=none.reshape(0, 1),
        web_paddings=none.reshape(0, 1),
        web_keys=none,
        caption_ids=none.reshape(0, 1),
        caption_paddings=none.reshape(0, 1),
        caption_keys=none,
    )
