"""The same outputs as `transformers` and timm, from the same random weights, in float32."""

import pytest
import timm
import torch

from tests.tips_model import layouts
from tips_model.checkpoints import read_foreign
from tips_model.config import VARIANTS
from tips_model.google_npz import read_google
from tips_model.huggingface import convert_huggingface
from tips_model.model import TIPS
from tips_model.tensors import TensorSource

TOLERANCE = 1e-4
CONFIGS = {"gelu": layouts.SMALL, "swiglu": layouts.SMALL_SWIGLU}
SIZES = ((448, 448), (336, 560), (70, 42))


def filled(config, state):
    model = TIPS(config)
    model.load_state_dict(state, strict=True)
    return model.eval().requires_grad_(False)


def assert_same_vision(model, reference, pixels, mask=None):
    theirs = reference.vision_model(pixels, bool_masked_pos=mask).last_hidden_state
    ours = model.vision(pixels, mask=mask)
    assert (ours.cls_web - theirs[:, 0]).abs().max() < TOLERANCE
    assert (ours.cls_caption - theirs[:, 1]).abs().max() < TOLERANCE
    assert (ours.patches.flatten(1, 2) - theirs[:, 2:]).abs().max() < TOLERANCE


def assert_same_text(model, reference):
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(1, 1000, (3, 64), generator=generator)
    paddings = torch.zeros_like(ids)
    paddings[1, 5:] = paddings[2, 1:] = 1
    ids = ids * (1 - paddings)
    theirs = reference.text_model(ids, attention_mask=1 - paddings).pooler_output
    assert (model.text(ids, paddings) - theirs).abs().max() < TOLERANCE


def convert(reference, config):
    state, config = convert_huggingface(dict(reference.state_dict()), config, "reference")
    return filled(config, state)


@pytest.mark.parametrize("ffn", CONFIGS)
@pytest.mark.parametrize("size", SIZES)
def test_vision_equals_transformers_at_every_size_and_aspect(ffn, size):
    reference = layouts.reference(CONFIGS[ffn])
    model = convert(reference, CONFIGS[ffn])
    pixels = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    assert_same_vision(model, reference, pixels)


def test_masked_patches_equal_transformers():
    reference = layouts.reference(layouts.SMALL)
    model = convert(reference, layouts.SMALL)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(2, 3, 112, 70, generator=generator)
    mask = torch.rand(2, 40, generator=generator) < 0.5
    assert_same_vision(model, reference, pixels, mask)


def test_text_equals_transformers():
    reference = layouts.reference(layouts.SMALL)
    assert_same_text(convert(reference, layouts.SMALL), reference)


@pytest.mark.parametrize("ffn", CONFIGS)
def test_google_npz_pair_gives_the_reference_outputs(ffn, tmp_path):
    reference = layouts.reference(CONFIGS[ffn])
    layouts.write_npz_pair(tmp_path, layouts.google_pair(reference))
    model = filled(*reversed(read_foreign(tmp_path, CONFIGS[ffn])))
    assert_same_vision(model, reference, torch.rand(1, 3, 126, 84))
    assert_same_text(model, reference)
    assert model.temperature.item() == pytest.approx(0.0123)


@pytest.mark.parametrize("ffn", CONFIGS)
def test_scenic_npz_pair_gives_the_reference_outputs(ffn, tmp_path):
    reference = layouts.reference(CONFIGS[ffn], plain=True)
    layouts.write_npz_pair(tmp_path, layouts.scenic_pair(reference))
    model = filled(*reversed(read_foreign(tmp_path, CONFIGS[ffn])))
    assert_same_vision(model, reference, torch.rand(1, 3, 84, 126))
    assert_same_text(model, reference)
    assert model.temperature.item() == pytest.approx(0.0123)


@pytest.mark.parametrize("ffn", CONFIGS)
def test_files_that_transformers_saves_give_the_reference_outputs(ffn, tmp_path):
    reference = layouts.reference(CONFIGS[ffn])
    reference.save_pretrained(tmp_path)
    model = filled(*reversed(read_foreign(tmp_path, CONFIGS[ffn])))
    assert_same_vision(model, reference, torch.rand(1, 3, 126, 84))
    assert_same_text(model, reference)
    assert model.temperature.item() == pytest.approx(0.0123)


def test_hub_layout_takes_the_temperature_from_its_config(tmp_path):
    reference = layouts.reference(layouts.SMALL)
    vision, text = layouts.google_pair(reference)
    del text["temperature"]
    tensors = {f"vision_encoder.{key}": value for key, value in vision.items()}
    tensors |= {f"text_encoder.{key}": value for key, value in text.items()}
    layouts.write_safetensors(tmp_path, tensors, temperature_init_value=0.25)
    model = filled(*reversed(read_foreign(tmp_path, layouts.SMALL)))
    assert_same_vision(model, reference, torch.rand(1, 3, 84, 84))
    assert_same_text(model, reference)
    assert model.temperature.item() == 0.25


def test_value_patches_equal_the_last_block_without_mixing():
    """The official notebook, written on the reference: own values, residual, feed-forward."""
    reference = layouts.reference(layouts.SMALL)
    model = convert(reference, layouts.SMALL)
    pixels = torch.rand(2, 3, 98, 70)
    out = reference.vision_model(pixels, output_hidden_states=True)
    x, last = out.hidden_states[-2], reference.vision_model.encoder.layer[-1]
    values = last.attention.o_proj(last.attention.v_proj(last.norm1(x)))
    values = last.layer_scale1(values)
    mixed = x + values
    mixed = mixed + last.layer_scale2(last.mlp(last.norm2(mixed)))
    norm = reference.vision_model.layernorm

    ours = model.vision(pixels, values=True)
    assert (ours.patches.flatten(1, 2) - norm(mixed)[:, 2:]).abs().max() < TOLERANCE
    assert (ours.cls_web - out.last_hidden_state[:, 0]).abs().max() < TOLERANCE
    assert (ours.cls_caption - out.last_hidden_state[:, 1]).abs().max() < TOLERANCE

    model.vision.dense = "values"
    alone = model.vision(pixels, values=True).patches.flatten(1, 2)
    assert (alone - norm(values)[:, 2:]).abs().max() < TOLERANCE


@pytest.mark.parametrize("ffn", CONFIGS)
@pytest.mark.parametrize("size", [(448, 448), (336, 560)])
def test_vision_equals_timm(ffn, size):
    """At another size timm gets our position table: its own resampling is bicubic, which is not
    what the official code does (`transformers` agrees with ours at every size, above)."""
    config = CONFIGS[ffn]
    name = "vit_giant_patch14_reg1_tipsv2" if ffn == "swiglu" else "vit_base_patch14_reg1_tipsv2"
    v = config.vision
    ratio = 2 * v.mlp_hidden / v.width if ffn == "swiglu" else v.mlp_hidden / v.width
    sizes = {"embed_dim": v.width, "depth": v.depth, "num_heads": v.heads, "mlp_ratio": ratio}
    theirs = timm.create_model(name, img_size=size, num_classes=0, **sizes).eval()
    reference = layouts.reference(config)
    vision, text = layouts.google_pair(reference)
    # timm has no position of the first CLS and no mask token.
    vision["pos_embed"][:, 0] = 0
    renamed = {
        key.replace("register_tokens", "reg_token")
        .replace("w12", "fc1")
        .replace("w3", "fc2"): value
        for key, value in vision.items()
        if key != "mask_token"
    }
    source = TensorSource(vision, "vision"), TensorSource(text, "text")
    model = filled(*reversed(read_google(*source, config)))
    renamed["pos_embed"] = model.vision.resampled_positions(size[0] // 14, size[1] // 14)[None]
    theirs.load_state_dict(renamed, strict=True)
    pixels = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        tokens = theirs.forward_features(pixels)
    ours = model.vision(pixels)
    assert (ours.cls_web - tokens[:, 0]).abs().max() < TOLERANCE
    assert (ours.cls_caption - tokens[:, 1]).abs().max() < TOLERANCE
    assert (ours.patches.flatten(1, 2) - tokens[:, 2:]).abs().max() < TOLERANCE


def test_full_size_b14_equals_transformers():
    config = VARIANTS["tipsv2-b14"]
    reference = layouts.reference(config)
    state, config = convert_huggingface(dict(reference.state_dict()), config, "reference")
    with torch.device("meta"):
        model = TIPS(config)
    model.load_state_dict(state, strict=True, assign=True)
    model.eval().requires_grad_(False)
    assert_same_vision(model, reference, torch.rand(1, 3, 448, 448))
    assert_same_vision(model, reference, torch.rand(1, 3, 280, 420))
    assert_same_text(model, reference)
