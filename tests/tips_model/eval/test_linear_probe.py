import torch

from tips_model.eval.linear_probe import linear_probe, patch_labels


def test_a_patch_takes_the_class_of_most_of_its_pixels():
    labels = torch.tensor([[0, 0, 2, -1], [0, 1, -1, -1]])
    assert patch_labels(labels, 1, 2, classes=3).tolist() == [[0, 3]]


def test_separable_features_are_learnt_and_noise_is_not():
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % 3
    features = torch.eye(3)[labels] + 0.1 * torch.randn(300, 3, generator=rng)
    score = linear_probe(features[:200], labels[:200], features[200:], labels[200:], 3)
    assert score.miou == 1.0
    noise = torch.randn(300, 3, generator=rng)
    score = linear_probe(noise[:200], labels[:200], noise[200:], labels[200:], 3)
    assert score.accuracy < 0.5


def test_scale_and_shift_of_features_do_not_matter():
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (200,), generator=rng)
    features = torch.eye(3)[labels] + 0.5 * torch.randn(200, 3, generator=rng)
    one = linear_probe(features[:100], labels[:100], features[100:], labels[100:], 3)
    moved = 1000 * features + 7
    two = linear_probe(moved[:100], labels[:100], moved[100:], labels[100:], 3)
    assert abs(one.accuracy - two.accuracy) < 0.02
