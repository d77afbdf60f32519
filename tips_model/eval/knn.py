"""k-nearest-neighbour classification on image vectors (the protocol of DINO)."""

from __future__ import annotations

import torch
from torch import Tensor


def knn_accuracy(
    train: Tensor,
    train_labels: Tensor,
    test: Tensor,
    test_labels: Tensor,
    *,
    k: int = 20,
    temperature: float = 0.07,
    chunk: int = 1024,
) -> float:
    """Share of test pictures whose neighbours vote for their class.

    train (N, D), test (M, D) of unit norm; labels are class indices. Each of the k nearest votes
    with exp(cosine / temperature).
    """
    classes = int(torch.cat([train_labels, test_labels]).max()) + 1
    k = min(k, len(train))
    right = 0
    for start in range(0, len(test), chunk):
        similarity = test[start : start + chunk] @ train.T
        near, index = similarity.topk(k, dim=1)
        votes = torch.zeros(len(near), classes)
        # Subtracting the largest cosine keeps the order of the sums and prevents overflow.
        weight = ((near - near[:, :1]) / temperature).exp()
        votes.scatter_add_(1, train_labels[index], weight)
        right += int((votes.argmax(1) == test_labels[start : start + chunk]).sum())
    return right / len(test)
