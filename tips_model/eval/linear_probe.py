"""A linear probe on frozen patch features, trained on one part of a set and scored on another.

Patches take the class of most of their pixels, or "background". Features are standardised, weights
start at zero and are fitted with L-BFGS on all patches at once, so nothing depends on a seed.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from tips_model.eval.segmentation import Confusion, Score


def patch_labels(labels: Tensor, rows: int, columns: int, classes: int) -> Tensor:
    """The most frequent class in each patch: labels (H, W), -1 as background, to (rows, columns).

    H and W are multiples of rows and columns. Background becomes class `classes`.
    """
    height, width = labels.shape
    known = torch.where(labels < 0, classes, labels)
    cells = known.reshape(rows, height // rows, columns, width // columns)
    cells = cells.permute(0, 2, 1, 3).reshape(rows, columns, -1)
    return one_hot(cells, classes + 1).sum(2).argmax(2)


def linear_probe(
    train: Tensor,
    train_labels: Tensor,
    test: Tensor,
    test_labels: Tensor,
    classes: int,
    *,
    steps: int = 60,
    decay: float = 1e-4,
) -> Score:
    """Score of a linear classifier on features: train (N, D), labels (N,); test (M, D), (M,).

    Labels are below `classes`. `decay` weighs the squared weights.
    """
    mean, std = train.mean(0), train.std(0).clamp_min(1e-6)
    train, test = (train - mean) / std, (test - mean) / std
    weight = torch.zeros(train.shape[1], classes, requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=steps, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = cross_entropy(train @ weight + bias, train_labels)
        loss = loss + decay * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call,unused-ignore]
    confusion = Confusion(classes)
    with torch.no_grad():
        confusion.add(test_labels, (test @ weight + bias).argmax(1))
    return confusion.score()
