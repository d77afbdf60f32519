import torch
import torch.nn.functional as F

from tips_model.train.config import Head
from tips_model.train.heads import FeatureHeads, Heads, PrototypeHead

SIZES = Head(layers=3, hidden=16, bottleneck=8, prototypes=12)


def test_scores_are_cosines_with_the_prototypes() -> None:
    torch.manual_seed(0)
    head = PrototypeHead(4, SIZES)
    tokens = torch.randn(2, 3, 4)
    expected = F.cosine_similarity(
        head.mlp(tokens)[..., None, :], head.prototypes[None, None], dim=-1
    )
    torch.testing.assert_close(head(tokens), expected)
    assert head(tokens).shape == (2, 3, 12)


def test_scores_are_as_exact_under_autocast() -> None:
    torch.manual_seed(0)
    head = PrototypeHead(4, SIZES)
    tokens = torch.randn(5, 4)
    with torch.autocast("cpu", torch.bfloat16):
        scores, points = head(tokens), head.mlp(tokens)
    expected = F.cosine_similarity(points.float()[:, None], head.prototypes[None], dim=-1)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, expected)


def test_layers_count_the_linear_ones_before_the_prototypes() -> None:
    shapes = [tuple(p.shape) for p in PrototypeHead(4, SIZES).mlp.parameters() if p.ndim == 2]
    assert shapes == [(16, 4), (16, 16), (8, 16)]


def test_one_head_or_two() -> None:
    shared = Heads(4, SIZES)
    own = Heads(4, Head(layers=2, hidden=16, bottleneck=8, prototypes=12, shared=False))
    assert shared.cls is shared.patch
    assert own.cls is not own.patch
    assert len(list(own.parameters())) == 10


def test_feature_heads_reach_the_teachers_width() -> None:
    heads = FeatureHeads(4, 6)
    assert heads.cls(torch.zeros(2, 4)).shape == heads.patch(torch.zeros(2, 4)).shape == (2, 6)
