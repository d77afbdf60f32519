import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from open_clip.model import CLIPTextCfg, CLIPVisionCfg
from PIL import Image

from tips_model.embedder import open_embedder
from tips_model.errors import ModelNameError, TipsError, WeightsError
from tips_model.openclip import OpenClipEmbedder


def make(**settings):
    """A tiny model whose norms are not the identity: applying one twice, or not, shows."""
    torch.manual_seed(0)
    vision = CLIPVisionCfg(
        layers=3, width=64, head_width=16, patch_size=8, image_size=64, **settings
    )
    text = CLIPTextCfg(context_length=16, width=64, heads=4, layers=1)
    made = open_clip.CLIP(32, vision, text).eval().requires_grad_(False)
    for module in made.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.weight.add_(0.3 * torch.randn_like(module.weight))
            module.bias.add_(0.3 * torch.randn_like(module.bias))
    return made


@pytest.fixture(scope="module")
def model():
    return make()


@pytest.fixture(scope="module")
def embedder(model):
    return OpenClipEmbedder("tiny/random", model, open_clip.SimpleTokenizer(context_length=16))


@pytest.fixture(scope="module")
def square(embedder):
    rng = np.random.default_rng(0)
    return embedder.prepare(Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)))


def normed(pixels):
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN)[:, None, None]
    return (pixels.float() / 255 - mean) / torch.tensor(open_clip.OPENAI_DATASET_STD)[:, None, None]


def test_image_vector_is_the_models_own(embedder, model, square):
    (batch,) = embedder.embed_images([square])
    expected = model.encode_image(normed(square)[None], normalize=True)
    assert np.allclose(batch.heads["image"], expected, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [{"pool_type": "avg"}, {"final_ln_after_pool": True, "pool_type": "avg"}, {"no_ln_pre": True}],
    ids=lambda settings: "+".join(settings),
)
def test_image_vector_is_the_models_own_for_every_way_of_pooling(settings, square):
    other = make(**settings)
    embedder = OpenClipEmbedder("tiny/random", other, open_clip.SimpleTokenizer(context_length=16))
    (batch,) = embedder.embed_images([square])
    expected = other.encode_image(normed(square)[None], normalize=True)
    assert np.allclose(batch.heads["image"], expected, atol=1e-5)


def test_dense_feature_is_the_last_blocks_own_values(embedder, model, square):
    """Attention to itself alone, made by a mask in the library's own block, gives the values."""
    (batch,) = embedder.embed_images([square])
    visual = model.visual
    inputs = []
    last = visual.transformer.resblocks[-1]
    handle = last.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    visual(normed(square)[None])
    handle.remove()
    only_self = torch.full((65, 65), float("-inf")).fill_diagonal_(0)
    values = last.attention(last.ln_1(inputs[0]), attn_mask=only_self)
    expected = F.normalize(visual.ln_post(values)[:, 1:] @ visual.proj, dim=-1)
    assert torch.allclose(batch.patches.flatten(1, 2), expected, atol=1e-5)


def test_other_aspects_keep_their_grid(embedder):
    wide = embedder.prepare(Image.new("RGB", (320, 160)))
    (batch,) = embedder.embed_images([wide])
    assert batch.patches.shape == (1, wide.shape[1] // 8, wide.shape[2] // 8, 32)
    assert wide.shape == (3, 40, 88)
    assert torch.allclose(batch.patches.norm(dim=-1), torch.tensor(1.0), atol=1e-5)


def test_texts_are_the_models_own(embedder, model):
    vectors = embedder.embed_texts(["a cat", "a red dog"])
    ids = open_clip.SimpleTokenizer(context_length=16)(["a cat", "a red dog"])
    assert np.allclose(vectors, model.encode_text(ids, normalize=True), atol=1e-5)
    assert embedder.truncated("cat " * 20)
    assert not embedder.truncated("a cat")
    assert not embedder.truncated(" ".join(["cat"] * 14))  # 16 tokens with begin and end
    assert embedder.truncated(" ".join(["cat"] * 15))
    with pytest.raises(TipsError, match="empty"):
        embedder.embed_texts([" "])


def test_info_names_the_weights(embedder, model):
    info = embedder.info
    assert (info.heads, info.retrieval_head, info.dim, info.patch) == (("image",), "image", 32, 8)
    assert info.name == "openclip:tiny/random"
    tokenizer = open_clip.SimpleTokenizer(context_length=16)
    assert OpenClipEmbedder("tiny/random", model, tokenizer).info.model_id == info.model_id


def test_models_without_patches_are_refused():
    vision = CLIPVisionCfg(layers=(1, 1, 1, 1), width=8, image_size=32)
    text = CLIPTextCfg(context_length=16, width=64, heads=4, layers=1)
    resnet = open_clip.CLIP(32, vision, text)
    with pytest.raises(ModelNameError, match="no patch features"):
        OpenClipEmbedder("RN/random", resnet, None)


def test_unknown_names_are_one_sentence(tmp_path):
    with pytest.raises(ModelNameError, match="no architecture 'ViT-X'"):
        open_embedder("openclip:ViT-X/laion2b")
    with pytest.raises(ModelNameError, match="no weights 'mine' for ViT-B-32"):
        open_embedder("openclip:ViT-B-32/mine")
    with pytest.raises(WeightsError, match="does not exist"):
        open_embedder("openclip:ViT-B-32/mine", weights=tmp_path / "x.pt")
