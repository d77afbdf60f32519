import pytest
import torch
import torch.nn.functional as F

from tests.tips_model.layouts import SMALL, SMALL_SWIGLU
from tips_model import TIPS
from tips_model.layers import attend
from tips_model.packed import can_pack, packed


@pytest.fixture(scope="module")
def tower():
    return TIPS(SMALL, seed=1).vision.eval().requires_grad_(False)


def pixels(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_outputs_have_names_and_the_shape_of_the_picture(tower):
    out = tower(pixels(2, 3, 84, 140))
    assert out.cls_web.shape == out.cls_caption.shape == (2, 32)
    assert out.patches.shape == (2, 6, 10, 32)


def test_a_tall_picture_is_not_read_as_a_wide_one(tower):
    """Rows come first: a change in the bottom left corner moves the patch there the most."""
    a, b = pixels(1, 3, 84, 140), pixels(1, 3, 84, 140)
    b[..., 70:, :14] = 1 - b[..., 70:, :14]
    moved = (tower(a).patches - tower(b).patches).norm(dim=-1)[0]
    assert divmod(int(moved.argmax()), 10) == (5, 0)


def test_a_masked_patch_hides_its_pixels_but_keeps_its_place(tower):
    mask = torch.zeros(1, 60, dtype=torch.bool)
    mask[0, 7] = True
    a, b = pixels(1, 3, 84, 140), pixels(1, 3, 84, 140)
    b[..., :14, 98:112] = 0
    assert not torch.equal(tower(a).patches, tower(b).patches)
    assert torch.equal(tower(a, mask=mask).patches, tower(b, mask=mask).patches)
    tokens = tower.embed(a, mask)[0, 2 + 7]
    expected = tower.mask_token + tower.resampled_positions(6, 10)[7]
    assert torch.allclose(tokens, expected)


def test_size_that_the_patch_does_not_divide_is_refused(tower):
    with pytest.raises(ValueError, match="100 x 84 is not a multiple of patch 14"):
        tower(pixels(1, 3, 84, 100))


def test_values_leave_the_cls_outputs_as_they_are(tower):
    x = pixels(2, 3, 56, 70)
    ordinary, dense = tower(x), tower(x, values=True)
    assert torch.allclose(ordinary.cls_web, dense.cls_web, atol=1e-6)
    assert torch.allclose(ordinary.cls_caption, dense.cls_caption, atol=1e-6)
    assert not torch.allclose(ordinary.patches, dense.patches, atol=1e-2)


def test_picture_does_not_depend_on_its_batch_mates(tower):
    x = pixels(3, 3, 56, 70)
    alone, together = tower(x[1:2]), tower(x)
    assert torch.allclose(alone.patches[0], together.patches[1], atol=1e-5)


def test_activation_checkpointing_gives_the_same_gradients():
    def gradients(recompute):
        model = TIPS(SMALL, seed=1)
        model.vision.checkpoint_blocks = model.text.checkpoint_blocks = recompute
        ids = torch.tensor([[3, 4, 5]])
        out = model(pixels(1, 3, 28, 28), ids, torch.zeros_like(ids))
        out.sum().backward()
        return [p.grad for p in model.parameters() if p.grad is not None]

    plain, recomputed = gradients(False), gradients(True)
    assert len(plain) == len(recomputed) > 50
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(plain, recomputed, strict=True))


def test_plain_attention_in_training_equals_the_fused_one():
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, 9, 8, generator=generator).bfloat16() for _ in range(3))
    mask = torch.rand(2, 1, 1, 9, generator=generator) < 0.7
    mask[..., 0] = True
    plain = attend(q.clone().requires_grad_(), k, v, mask)
    fused = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    assert (plain - fused).abs().max() < 0.03


@pytest.mark.parametrize("queries", [2, 300])
def test_attention_head_by_head_equals_the_fused_one(queries):
    """Bfloat16 on the CPU without a gradient: what indexing runs where the processor has it."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, n, 8, generator=generator) for n in (queries, 300, 300))
    exact = F.scaled_dot_product_attention(q, k, v)
    with torch.no_grad():
        by_heads = attend(q.bfloat16(), k.bfloat16(), v.bfloat16())
    assert by_heads.shape == exact.shape
    assert (by_heads - exact).abs().max() < 0.01


@pytest.mark.skipif(not can_pack(), reason="torch was built without oneDNN")
@pytest.mark.parametrize("config", [SMALL, SMALL_SWIGLU], ids=["gelu", "swiglu"])
@pytest.mark.parametrize("values", [False, True])
def test_a_packed_tower_gives_what_autocast_gives(config, values):
    tower = TIPS(config, seed=4).vision.eval()
    pictures = pixels(2, 3, 84, 140)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        wanted, found = (t(pictures, values=values) for t in (tower, packed(tower)))
    for a, b in zip(wanted, found, strict=True):
        assert torch.cosine_similarity(a.float(), b.float(), dim=-1).min() > 0.999
    assert packed(tower).positions is tower.positions  # nothing but the matrices is held twice


def test_new_weights_follow_their_seed_and_the_official_scheme():
    a, b, c = TIPS(SMALL, seed=1), TIPS(SMALL, seed=1), TIPS(SMALL, seed=2)
    same, other = a.state_dict(), c.state_dict()
    assert all(torch.equal(value, b.state_dict()[key]) for key, value in same.items())
    assert not torch.equal(same["vision.positions"], other["vision.positions"])
    assert a.weights_id == "random-1"
    assert same["vision.cls"].abs().max() == 0
    assert same["vision.positions"].std() == pytest.approx(32**-0.5, rel=0.05)
    # Each of query, key, value is a square Xavier matrix of its own.
    bound = (6 / 64) ** 0.5
    qkv = same["vision.blocks.0.attn.qkv.weight"].abs()
    assert bound * 0.98 < qkv.max() <= bound


def test_late_cls_tokens_see_the_patches_in_the_last_block_only(tower):
    pictures = pixels(2, 3, 84, 140)
    late = torch.tensor([True, False])
    ordinary, mixed = tower(pictures), tower(pictures, late=late)
    x = tower.embed(pictures)
    entered = x[:, :2]
    for block in tower.blocks[:-1]:
        x = block(x, None)
    x = tower.norm(tower.blocks[-1](torch.cat((entered, x[:, 2:]), dim=1), None))
    torch.testing.assert_close(mixed.cls_web[0], x[0, 0])
    torch.testing.assert_close(mixed.cls_caption[0], x[0, 1])
    torch.testing.assert_close(mixed.cls_web[1], ordinary.cls_web[1])
    assert not torch.allclose(mixed.cls_web[0], ordinary.cls_web[0])


def test_kept_patches_enter_alone_with_the_positions_they_have(tower):
    """All of them in order change nothing; another picture elsewhere than at them neither."""
    a = pixels(2, 3, 84, 140)
    every = torch.arange(60).expand(2, -1)
    whole, kept = tower(a, values=True), tower(a, values=True, kept=every)
    assert kept.patches.shape == (2, 1, 60, 32)
    assert torch.allclose(kept.patches.flatten(1, 2), whole.patches.flatten(1, 2), atol=1e-6)
    some = torch.tensor([[3, 7, 59], [0, 10, 20]])
    part = tower(a, kept=some)
    assert part.patches.shape == (2, 1, 3, 32)
    b = a.clone()
    b[0, :, :14, 14:28] = 0  # patch 1, which is not kept
    assert torch.equal(tower(b, kept=some).cls_web, part.cls_web)
    b[0, :, :14, 98:112] = 0  # patch 7, which is
    assert not torch.equal(tower(b, kept=some).cls_web, part.cls_web)
    tokens = tower.embed(a, kept=some)[0, 2:]
    assert torch.equal(tokens, tower.embed(a)[0, 2:][some[0]])
