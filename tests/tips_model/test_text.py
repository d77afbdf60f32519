import pytest
import torch

from tests.tips_model.layouts import SMALL
from tips_model import TIPS
from tips_model.text import sinusoids


@pytest.fixture(scope="module")
def tower():
    return TIPS(SMALL, seed=1).text.eval()


def test_sinusoids_are_sines_then_cosines_of_geometric_timescales():
    table = sinusoids(64, 32)
    assert table.shape == (64, 32)
    assert table[5, 0] == pytest.approx(torch.tensor(5.0).sin().item())
    assert table[5, 16] == pytest.approx(torch.tensor(5.0).cos().item())
    assert table[5, 15] == pytest.approx(5 / 10_000, rel=1e-4)


def test_padding_changes_nothing(tower):
    ids = torch.tensor([[3, 4, 5]])
    padded = torch.tensor([[3, 4, 5, 0, 0, 0]])
    paddings = torch.tensor([[0, 0, 0, 1, 1, 1]])
    short = tower(ids, torch.zeros_like(ids))
    assert torch.allclose(short, tower(padded, paddings), atol=1e-6)


def test_text_of_padding_only_is_zero_with_finite_gradients():
    """Upstream masks every key: the softmax over nothing is NaN in the backward pass."""
    model = TIPS(SMALL, seed=1).text
    out = model(torch.tensor([[3, 4], [0, 0]]), torch.tensor([[0, 0], [1, 1]]))
    out.sum().backward()
    assert out[1].abs().max() == 0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_only_a_text_of_padding_opens_a_padded_key(tower):
    """What stands at the padding of a real text changes nothing, wherever the padding is."""
    paddings = torch.tensor([[1, 0, 0]])
    out = [tower(torch.tensor([[pad, 3, 4]]), paddings) for pad in (0, 7)]
    assert torch.equal(*out)


def test_no_texts_give_no_vectors_and_no_tokens_are_refused(tower):
    assert tower(torch.zeros(0, 4, dtype=torch.int64), torch.zeros(0, 4)).shape == (0, 32)
    with pytest.raises(ValueError, match="at least one token"):
        tower(torch.zeros(1, 0, dtype=torch.int64), torch.zeros(1, 0))


def test_hooks_see_the_call(tower):
    """Upstream overrides __call__, which bypasses hooks and wrappers."""
    seen = []
    handle = tower.register_forward_hook(lambda module, args, out: seen.append(out.shape))
    tower(torch.tensor([[3]]), torch.tensor([[0]]))
    handle.remove()
    assert seen == [(1, 32)]


def test_too_many_tokens_are_refused(tower):
    with pytest.raises(ValueError, match="65 tokens"):
        tower(torch.ones(1, 65, dtype=torch.int64), torch.zeros(1, 65))


def test_logits_are_cosines_over_the_temperature():
    model = TIPS(SMALL, seed=1).eval()
    pixels, ids = torch.rand(2, 3, 28, 28), torch.tensor([[3, 4], [5, 6], [7, 8]])
    logits = model(pixels, ids, torch.zeros_like(ids))
    image, text = model.vision(pixels).cls_web, model.text(ids, torch.zeros_like(ids))
    cosine = torch.cosine_similarity(image[:, None], text[None], dim=-1)
    assert model.temperature.item() == pytest.approx(0.07)
    assert torch.allclose(logits, cosine / 0.07, atol=1e-4)
