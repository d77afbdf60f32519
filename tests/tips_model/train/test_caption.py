import io
from collections.abc import Sequence
from pathlib import Path

import lancedb
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from tips_model.train.caption import Captioner, CaptionModelError, add_captions
from tips_model.train.dataset import open_table, record_batches, write_table
from tips_model.train.source import DataError
from ui.cli import cli

WORDS = ["<pad>", "<eos>", "<bos>", "<unk>", "caption", "en", "a", "cat", "dog", "red"]


def _table(folder: Path, keys: Sequence[str] = ("it's", "b", "c"), broken: str = "") -> Path:
    rows = []
    for index, key in enumerate(keys):
        out = io.BytesIO()
        Image.new("RGB", (30, 20), (80 * index, 0, 0)).save(out, "PNG")
        image = b"none" if key == broken else out.getvalue()
        own = ["own"] if key == "b" else []
        rows.append({"key": key, "image": image, "web": "w", "synthetic": own, "objects": None})
    write_table(folder, record_batches(rows))
    return folder


def _shade(images: Sequence[Image.Image]) -> list[str]:
    """Describes a picture by its red value."""
    return [f"red {image.getpixel((0, 0))[0]}" for image in images]


def _captions(folder: Path) -> dict[str, list[str]]:
    rows = open_table(folder).to_arrow().to_pylist()
    return {row["key"]: row["synthetic"] for row in rows}


def test_rows_without_captions_get_one_of_their_own_picture(tmp_path: Path):
    folder = _table(tmp_path)
    assert add_captions(folder, _shade, batch=1) == (2, [])
    assert _captions(folder) == {"it's": ["red 0"], "b": ["own"], "c": ["red 160"]}
    assert open_table(folder).to_arrow()["web"].to_pylist() == ["w"] * 3


def test_a_second_run_adds_nothing_and_more_captions_can_be_asked_for(tmp_path: Path):
    folder = _table(tmp_path)
    add_captions(folder, _shade)
    assert add_captions(folder, _shade) == (0, [])
    assert add_captions(folder, lambda images: ["own"] * len(images), captions=2) == (2, ["b"])
    assert add_captions(folder, _shade, captions=2) == (1, [])
    assert _captions(folder) == {
        "it's": ["red 0", "own"], "b": ["own", "red 80"], "c": ["red 160", "own"],
    }  # fmt: skip


def test_a_table_of_before_there_were_labels_gets_captions(tmp_path: Path):
    new = open_table(_table(tmp_path / "new")).to_arrow()
    lancedb.connect(tmp_path).create_table("pairs", new.drop_columns(["labels", "features"]))
    assert add_captions(tmp_path, _shade) == (2, [])
    assert _captions(tmp_path) == {"it's": ["red 0"], "b": ["own"], "c": ["red 160"]}
    assert "labels" not in open_table(tmp_path).schema.names


def test_broken_pictures_and_empty_answers_are_named(tmp_path: Path):
    folder = _table(tmp_path, broken="c")
    assert add_captions(folder, lambda images: [""] * len(images)) == (0, ["it's", "c"])
    assert add_captions(folder, _shade) == (1, ["c"])


def test_tables_with_doubled_keys_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="share a key"):
        add_captions(_table(tmp_path, keys=("a", "a")), _shade)


@pytest.fixture(scope="module")
def paligemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random PaliGemma of a few thousand weights with ten words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        PaliGemmaConfig,
        PaliGemmaForConditionalGeneration,
        PaliGemmaProcessor,
        PreTrainedTokenizerFast,
        SiglipImageProcessor,
    )

    words = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>",
        unk_token="<unk>",
    )  # fmt: skip
    pictures = SiglipImageProcessor(size={"height": 28, "width": 28})
    pictures.image_seq_length = 4
    processor = PaliGemmaProcessor(pictures, tokenizer)
    shape = {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }  # fmt: skip
    config = PaliGemmaConfig(
        vision_config=shape | {
            "model_type": "siglip_vision_model", "patch_size": 14, "image_size": 28,
            "projection_dim": 16, "vision_use_head": False,
        },
        text_config=shape | {
            "model_type": "gemma", "vocab_size": len(tokenizer), "num_key_value_heads": 1,
            "head_dim": 8, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        projection_dim=16, hidden_size=16,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("paligemma")
    torch.manual_seed(0)
    PaliGemmaForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def test_a_paligemma_describes_pictures_the_same_alone_and_in_a_batch(paligemma: Path):
    describe = Captioner(str(paligemma), tokens=4)
    images = [Image.new("RGB", (40, 30), colour) for colour in ("red", "white")]
    told = describe(images)
    assert told == [describe([image])[0] for image in images]
    assert all(1 <= len(text.split()) <= 4 for text in told)
    assert not any("caption" in text and "<image>" in text for text in told)


def test_the_command_adds_what_the_model_says(paligemma: Path, tmp_path: Path):
    folder = _table(tmp_path, broken="c")
    words = ["caption", str(folder), "--model", str(paligemma), "--prompt", "a red", "--batch", "2"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    picture = Image.new("RGB", (30, 20), (0, 0, 0))
    (told,) = Captioner(str(paligemma), prompt="a red")([picture])
    assert told
    assert _captions(folder) == {"it's": [told], "b": ["own"], "c": []}
    assert "1 caption added to" in done.output
    assert "1 picture without a new caption: c." in done.output


def test_a_missing_model_is_named(tmp_path: Path):
    with pytest.raises(CaptionModelError, match="no-such-folder cannot be loaded"):
        Captioner(str(tmp_path / "no-such-folder"))
