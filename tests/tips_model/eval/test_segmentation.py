import pytest
import torch
from torch.nn.functional import normalize

from tips_model.eval.segmentation import Confusion, class_scores, window_scores


def test_miou_and_accuracy_by_hand():
    labels = torch.tensor([[0, 0, 1], [1, -1, 1]])
    predicted = torch.tensor([[0, 1, 1], [1, 0, 2]])
    confusion = Confusion(4)
    confusion.add(labels, predicted)
    # class 0: 1 of 2; class 1: 2 of 4; class 2 is predicted only: 0 of 1; class 3 is nowhere
    assert confusion.score().miou == pytest.approx((1 / 2 + 2 / 4 + 0) / 3)
    assert confusion.score().accuracy == pytest.approx(3 / 5)


def test_miou_equals_a_slow_reference_over_several_pictures():
    rng = torch.Generator().manual_seed(1)
    confusion = Confusion(5)
    pairs = []
    for _ in range(3):
        labels = torch.randint(-1, 5, (6, 7), generator=rng)
        predicted = torch.randint(0, 5, (6, 7), generator=rng)
        confusion.add(labels, predicted)
        pairs += list(zip(labels.flatten().tolist(), predicted.flatten().tolist(), strict=True))
    pairs = [pair for pair in pairs if pair[0] >= 0]
    ious = []
    for c in range(5):
        both = sum(t == c and p == c for t, p in pairs)
        either = sum(t == c or p == c for t, p in pairs)
        ious.append(both / either)
    assert confusion.score().miou == pytest.approx(sum(ious) / 5)


def test_scores_of_a_constant_picture_are_its_cosines():
    vector = normalize(torch.tensor([1.0, 2.0]), dim=0)
    scores = class_scores(vector.expand(3, 4, 2), torch.eye(2), 24, 32)
    assert scores.shape == (2, 24, 32)
    assert torch.allclose(scores[0], vector[0].expand(24, 32))


def _dense(pictures: torch.Tensor) -> torch.Tensor:
    """One feature per 4 x 4 patch: its mean shade against white."""
    shade = torch.nn.functional.avg_pool2d(pictures.float()[:, 0], 4) / 255
    return torch.stack([shade, (1 - shade**2).clamp_min(0).sqrt()], dim=-1)


@pytest.mark.parametrize("shape", [(16, 16), (24, 40), (8, 20)])
def test_windows_cover_every_pixel_once_or_more_and_average(shape: tuple[int, int]):
    picture = torch.full((3, *shape), 128, dtype=torch.uint8)
    scores = window_scores(picture, _dense, torch.eye(2), window=16, stride=8)
    assert scores.shape == (2, *shape)
    shade = 128 / 255
    expected = torch.tensor([shade, (1 - shade**2) ** 0.5]).softmax(dim=0)
    assert torch.allclose(scores[0], expected[0].expand(shape))
    assert torch.allclose(scores.sum(0), torch.ones(shape))


def test_windows_step_by_three_quarters_of_their_side():
    seen: list[int] = []

    def dense(windows: torch.Tensor) -> torch.Tensor:
        seen.extend(windows[:, 0, 0, 0].tolist())
        return _dense(windows)

    picture = torch.arange(40, dtype=torch.uint8).expand(3, 16, 40)
    window_scores(picture, dense, torch.eye(2), window=16)
    assert seen == [0, 12, 24]


def test_overlapping_windows_average_probabilities_not_cosines():
    def dense(windows: torch.Tensor) -> torch.Tensor:
        """The first window says class 0, the second class 1 half as loud."""
        return torch.tensor([[1.0, 0.0], [0.0, 0.5]])[:, None, None].expand(2, 4, 4, 2)

    picture = torch.zeros(3, 16, 24, dtype=torch.uint8)
    scores = window_scores(picture, dense, torch.eye(2), window=16, stride=8)
    both = torch.tensor([1.0, 0.0]).softmax(0) + torch.tensor([0.0, 0.5]).softmax(0)
    assert torch.allclose(scores[:, 0, 12], both / 2)


def test_windows_see_local_content():
    picture = torch.zeros(3, 16, 32, dtype=torch.uint8)
    picture[:, :, 16:] = 255
    scores = window_scores(picture, _dense, torch.eye(2), window=16, stride=16)
    white = torch.tensor([1.0, 0.0]).softmax(0)[0]
    assert torch.allclose(scores[0, :, :16], (1 - white).expand(16, 16))
    assert torch.allclose(scores[0, :, 16:], white.expand(16, 16))
