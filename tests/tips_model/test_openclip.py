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


SMALL = {
    "embed_dim": 32,
    "vision_cfg": {
        "image_size": 64, "layers": 2, "width": 64, "head_width": 16, "patch_size": 32
    },
    "text_cfg": {
        "context_length": 77, "vocab_size": 49408, "width": 64, "heads": 4, "layers": 1
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "quick_gelu"),
    [
        ("ViT-B-32/openai", True),
        ("ViT-B-32/metaclip_400m", True),
        ("ViT-B-32/laion2b_s34b_b79k", False),
        ("ViT-B-32/my_own", False),
        ("ViT-B-32-quickgelu/openai", True),
        ("ViT-B-32-quickgelu/my_own", True),
    ],
)
def test_a_file_takes_the_activation_of_its_tag(name, quick_gelu, tmp_path, monkeypatch):
    """The library's architectures at a small size, with random weights."""
    arch = name.partition("/")[0]
    configs = open_clip.factory._MODEL_CONFIGS
    monkeypatch.setitem(configs, arch, configs[arch] | SMALL)
    torch.manual_seed(0)
    theirs = open_clip.create_model(arch, force_quick_gelu=quick_gelu).eval()
    for value in theirs.parameters():  # where the two activations differ
        value.data.mul_(4)
    torch.save(theirs.state_dict(), tmp_path / "weights.pt")
    ours = open_embedder(f"openclip:{name}", weights=tmp_path / "weights.pt")
    assert torch.equal(ours._mean, torch.tensor(open_clip.OPENAI_DATASET_MEAN))
    pixels = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    (batch,) = ours.embed_images([pixels])
    expected = theirs.encode_image(normed(pixels)[None], normalize=True).detach()
    assert np.allclose(batch.heads["image"], expected, atol=1e-4)
    text = theirs.encode_text(open_clip.get_tokenizer(arch)(["a dog"]), normalize=True).detach()
    assert np.allclose(ours.embed_texts(["a dog"]), text, atol=1e-4)
    other = open_clip.create_model(arch, force_quick_gelu=not quick_gelu or None).eval()
    other.load_state_dict(theirs.state_dict())
    changed = other.encode_image(normed(pixels)[None], normalize=True).detach()
    same = np.allclose(batch.heads["image"], changed, atol=1e-4)
    assert same == arch.endswith("quickgelu")  # which cannot be made with the other
    forced = quick_gelu and not arch.endswith("quickgelu")
    assert ours.info.model_id.endswith(":quickgelu") == forced


def test_a_file_takes_the_pixels_of_its_tag(tmp_path, monkeypatch):
    """A tag that was trained with other means than OpenAI's."""
    stated = {"url": "x", "mean": (0.5, 0.4, 0.3), "std": (0.1, 0.2, 0.3)}
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda arch, tag: stated)
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-B-32", SMALL)
    torch.save(open_clip.create_model("ViT-B-32").state_dict(), tmp_path / "weights.pt")
    ours = open_embedder("openclip:ViT-B-32/any", weights=tmp_path / "weights.pt")
    assert ours._mean.tolist() == pytest.approx(stated["mean"])
    assert ours._std.tolist() == pytest.approx(stated["std"])
