import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import tips_model
from tests.tips_model import layouts
from tips_model import TIPS, VARIANTS
from tips_model.checkpoints import load_model, read_foreign, save_model
from tips_model.errors import ModelNameError, WeightsError
from tips_model.tensors import fingerprint, read_npz
from tips_model.tokenizer import Tokenizer

SMALL = layouts.SMALL
SMALL16 = replace(SMALL, vision=replace(SMALL.vision, grid=4))


@pytest.fixture
def model():
    model = TIPS(SMALL16, seed=5)
    model.tokenizer = Tokenizer(layouts.TOKENIZER)
    return model


@pytest.fixture(scope="module")
def plain_reference():
    return layouts.reference(SMALL16, plain=True)


def same_weights(a, b):
    other = b.state_dict()
    return all(torch.equal(value, other[key]) for key, value in a.state_dict().items())


def test_own_format_keeps_everything(model, tmp_path):
    weights_id = save_model(model, tmp_path, note="A small one.")
    again = load_model(tmp_path)
    assert same_weights(model, again)
    assert again.config == model.config
    assert again.weights_id == weights_id
    assert again.note == "A small one."
    assert again.tokenizer.fingerprint == model.tokenizer.fingerprint
    assert not again.training
    assert not any(p.requires_grad for p in again.parameters())


def test_half_precision_files_load_as_float32_and_save_under_the_same_id(model, tmp_path):
    weights_id = save_model(model, tmp_path / "half", dtype=torch.float16)
    again = load_model(tmp_path / "half")
    assert again.vision.positions.dtype == torch.float32
    assert save_model(again, tmp_path / "full") == weights_id == again.weights_id
    assert load_model(tmp_path / "half", dtype=torch.bfloat16).vision.cls.dtype == torch.bfloat16


def test_saving_again_replaces_the_folder(model, tmp_path):
    save_model(model, tmp_path)
    other = TIPS(SMALL16, seed=6)
    save_model(other, tmp_path)
    assert same_weights(other, load_model(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.model",
    }


def test_two_saves_mixed_are_noticed(model, tmp_path):
    save_model(model, tmp_path / "a")
    save_model(TIPS(SMALL16, seed=6), tmp_path / "b")
    mixed = (tmp_path / "b" / "model.safetensors").read_bytes()
    (tmp_path / "a" / "model.safetensors").write_bytes(mixed)
    with pytest.raises(WeightsError, match=r"not the file that config.json describes"):
        load_model(tmp_path / "a")


def test_damaged_files_are_named(model, tmp_path):
    save_model(model, tmp_path)
    content = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(content[:1000])
    with pytest.raises(WeightsError, match=r"model.safetensors is damaged"):
        load_model(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["model"]["vision"]["colour"] = 3
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"config.json describes no model"):
        load_model(tmp_path)


def test_tokenizer_with_more_pieces_than_embeddings_is_refused(tmp_path):
    model = TIPS(replace(SMALL16, text=replace(SMALL16.text, vocab=100)))
    model.tokenizer = Tokenizer(layouts.TOKENIZER)
    save_model(model, tmp_path)
    with pytest.raises(WeightsError, match="400 pieces"):
        load_model(tmp_path)


def test_all_layouts_of_the_same_weights_have_one_id(plain_reference, tmp_path):
    google, scenic = layouts.google_pair(plain_reference), layouts.scenic_pair(plain_reference)
    layouts.write_npz_pair(tmp_path / "google", google)
    layouts.write_npz_pair(tmp_path / "scenic", scenic)
    layouts.write_safetensors(tmp_path / "hub", plain_reference.state_dict())
    ids = {
        fingerprint(read_foreign(tmp_path / name, SMALL16)[0])
        for name in ("google", "scenic", "hub")
    }
    assert len(ids) == 1


def drop(key):
    return lambda tensors: tensors.pop(key)


def add(key):
    return lambda tensors: tensors.update({key: torch.zeros(3)})


def reshape(key):
    return lambda tensors: tensors.update({key: torch.zeros(3)})


BLOCK = "encoder/transformer/encoderblock_2"
SPOILT = [
    ("google", 0, drop("blocks.2.attn.qkv.bias"), "blocks.2.attn.qkv.bias is missing"),
    ("google", 0, add("blocks.3.norm1.bias"), "surplus tensors blocks.3.norm1.bias"),
    ("google", 0, reshape("cls_token"), r"cls_token has shape (3,), the model needs (1, 1, 32)"),
    ("google", 1, drop("temperature"), "temperature is missing"),
    ("google", 1, add("text_projection"), "surplus tensors text_projection"),
    ("scenic", 0, drop(f"{BLOCK}/LayerNorm_1/scale"), f"{BLOCK}/LayerNorm_1/scale is missing"),
    ("scenic", 0, add("encoder/head/kernel"), "surplus tensors encoder/head/kernel"),
    ("scenic", 1, drop("token_emb/emb_var"), "token_emb/emb_var is missing"),
    ("scenic", 1, add("transformer/x"), "surplus tensors transformer/x"),
]


@pytest.mark.parametrize(("layout", "tower", "change", "message"), SPOILT)
def test_npz_with_a_wrong_key_is_refused_by_name(
    layout, tower, change, message, plain_reference, tmp_path
):
    write = {"google": layouts.google_pair, "scenic": layouts.scenic_pair}[layout]
    pair = write(plain_reference)
    change(pair[tower])
    layouts.write_npz_pair(tmp_path, pair)
    with pytest.raises(WeightsError, match=re.escape(message)):
        read_foreign(tmp_path, SMALL16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            drop("vision_model.encoder.layer.1.attention.k_proj.weight"),
            "the tensor vision_model.encoder.layer.1.attention.k_proj.weight is missing",
        ),
        (
            drop("text_model.encoder.layers.0.mlp.fc1.weight"),
            "the tensor text_model.encoder.layers.0.mlp.fc1.weight is missing",
        ),
        (
            reshape("text_model.encoder.layers.0.mlp.fc1.weight"),
            "text_model.encoder.layers.0.mlp.fc1.weight has shape (3,)",
        ),
        (
            reshape("vision_model.encoder.layer.0.attention.k_proj.weight"),
            "vision_model.encoder.layer.0.attention.q_proj.weight and its like have shapes",
        ),
        (reshape("temperature"), "temperature has shape (3,)"),
        (add("vision_model.head.weight"), "surplus tensors vision_model.head.weight"),
        (add("decoder.weight"), "surplus tensors decoder.weight"),
    ],
)
def test_safetensors_with_a_wrong_key_are_refused_by_name(
    change, message, plain_reference, tmp_path
):
    tensors = dict(plain_reference.state_dict())
    change(tensors)
    layouts.write_safetensors(tmp_path, tensors)
    with pytest.raises(WeightsError, match=re.escape(message)):
        read_foreign(tmp_path, SMALL16)


def test_own_files_with_a_wrong_key_are_refused_by_name(tmp_path):
    model = TIPS(SMALL)
    for change, message in (
        (drop("text.norm.bias"), "the tensor text.norm.bias is missing"),
        (add("vision.head.weight"), "surplus tensors vision.head.weight"),
    ):
        save_model(model, tmp_path)
        tensors = load_file(tmp_path / "model.safetensors")
        change(tensors)
        save_file(tensors, tmp_path / "model.safetensors")
        with pytest.raises(WeightsError, match=re.escape(message)):
            load_model(tmp_path)


def test_half_precision_keeps_the_temperature(tmp_path):
    model = TIPS(replace(SMALL, temperature=0.025726))
    save_model(model, tmp_path)
    assert load_model(tmp_path, dtype=torch.bfloat16).temperature.item() == pytest.approx(0.025726)


def test_loading_needs_no_compiler():
    """torch's compiler takes a second to import; nothing of it is needed to read a model."""
    code = "import sys, tips_model; tips_model.load('nano'); print('torch._dynamo' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_safetensors_without_any_temperature_are_refused(plain_reference, tmp_path):
    tensors = dict(plain_reference.state_dict())
    del tensors["temperature"]
    layouts.write_safetensors(tmp_path, tensors)
    with pytest.raises(WeightsError, match="does not state temperature_init_value"):
        read_foreign(tmp_path, SMALL16)


def test_position_table_follows_the_file(plain_reference, tmp_path):
    layouts.write_npz_pair(tmp_path, layouts.google_pair(plain_reference))
    _, config = read_foreign(tmp_path, SMALL)
    assert SMALL.vision.grid == 32
    assert config.vision.grid == 4


def test_pickled_npz_is_refused_and_not_run(tmp_path):
    marker = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return marker.touch, ()

    np.savez(tmp_path / "x_vision.npz", a=np.array([Trap()], dtype=object))
    with pytest.raises(WeightsError, match="not a plain npz file"):
        read_npz(tmp_path / "x_vision.npz")
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut off"])
def test_broken_npz_is_refused_by_name(content, tmp_path):
    path = tmp_path / "x_vision.npz"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"x_vision.npz is not a plain npz file"):
        read_npz(path)


def test_load_reads_a_folder_of_official_files_by_name(monkeypatch, plain_reference, tmp_path):
    monkeypatch.setitem(VARIANTS, "tipsv2-b14", replace(SMALL16, name="tipsv2-b14"))
    layouts.write_npz_pair(tmp_path, layouts.google_pair(plain_reference))
    model = tips_model.load("tipsv2-b14", weights=tmp_path)
    assert model.config.name == "tipsv2-b14"
    assert model.temperature.item() == pytest.approx(0.0123)
    assert model.tokenizer.vocab == 400


def test_load_of_an_own_folder_gives_the_model_that_it_holds(model, tmp_path):
    save_model(model, tmp_path)
    assert tips_model.load("tipsv2-b14", weights=tmp_path).config.name == "small"
    assert tips_model.load(str(tmp_path)).config.name == "small"


def test_nano_is_in_the_package():
    model = tips_model.load("nano")
    assert model.config.name == "nano"
    assert model.tokenizer is not None


def test_missing_weights_are_one_sentence_with_file_address_and_ways_on(monkeypatch, tmp_path):
    monkeypatch.setenv("TIPS_CACHE", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        tips_model.load("tipsv2-b14")
    message = str(caught.value)
    for part in (
        "tips_v2_oss_b14_vision.npz",
        "https://storage.googleapis.com/tips_data/v2_0/checkpoints/pytorch/",
        "tips models fetch tipsv2-b14",
        "--model nano",
        "--weights DIR",
    ):
        assert part in message
    assert "\n" not in message


def test_unknown_names_and_folders_are_refused(tmp_path):
    with pytest.raises(ModelNameError, match="no model 'tips-x14'"):
        tips_model.load("tips-x14")
    with pytest.raises(WeightsError, match="does not exist"):
        tips_model.load("nano", weights=tmp_path / "nowhere")
    with pytest.raises(WeightsError, match="holds no weights"):
        tips_model.load("tipsv2-b14", weights=tmp_path)
    (tmp_path / "a_vision.npz").touch()
    with pytest.raises(WeightsError, match=r"0 files \*_text.npz"):
        tips_model.load("tipsv2-b14", weights=tmp_path)
