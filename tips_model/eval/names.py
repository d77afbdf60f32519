"""Zero-shot classification: which of all names is nearest to a picture."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def name_accuracy(
    images: Tensor, names: Tensor, labels: Tensor, ks: Sequence[int] = (1, 5)
) -> dict[str, float]:
    """Share of pictures whose own name is among the k nearest: {"top1": ..., "top5": ...}.

    images (N, D) and names (C, D) of unit norm; labels (N,) indices into the names.
    """
    similarity = images @ names.T  # (N, C)
    own = similarity.gather(1, labels[:, None])
    # The number of names nearer than the right one; ties count against the model.
    rank = (similarity >= own).sum(1) - 1
    return {f"top{k}": float((rank < k).float().mean()) for k in ks}
