import pytest
import torch
from torch.nn.functional import normalize

from tips_model.eval.knn import knn_accuracy


def test_knn_equals_a_slow_vote():
    rng = torch.Generator().manual_seed(0)
    train = normalize(torch.randn(40, 6, generator=rng), dim=-1)
    test = normalize(torch.randn(25, 6, generator=rng), dim=-1)
    train_labels = torch.randint(0, 4, (40,), generator=rng)
    test_labels = torch.randint(0, 4, (25,), generator=rng)
    right = 0
    for vector, label in zip(test, test_labels.tolist(), strict=True):
        cosines = (train @ vector).tolist()
        votes = [0.0] * 4
        for index in sorted(range(40), key=lambda i: -cosines[i])[:5]:
            votes[train_labels[index]] += 2.718281828459045 ** (cosines[index] / 0.07)
        right += max(range(4), key=votes.__getitem__) == label
    found = knn_accuracy(train, train_labels, test, test_labels, k=5, chunk=7)
    assert found == pytest.approx(right / 25)


def test_the_nearest_outweighs_many_far_ones():
    train = normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), dim=-1)
    labels = torch.tensor([1, 0, 0])
    assert knn_accuracy(train, labels, train[:1], torch.tensor([1]), k=3) == 1.0
