import torch

from tips_model.eval.names import name_accuracy


def test_names_by_hand():
    names = torch.eye(3)
    images = torch.tensor([[0.9, 0.1, 0.0], [0.5, 0.4, 0.6], [0.1, 0.2, 0.3]])
    labels = torch.tensor([0, 1, 2])  # ranks 0, 2, 0
    assert name_accuracy(images, names, labels, ks=(1, 2, 3)) == {
        "top1": 0.6666666865348816, "top2": 0.6666666865348816, "top3": 1.0,
    }  # fmt: skip


def test_a_tie_counts_against_the_model():
    images = torch.ones(1, 2)
    assert name_accuracy(images, torch.ones(4, 2), torch.tensor([0]), ks=(1,))["top1"] == 0.0
