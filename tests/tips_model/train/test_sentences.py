import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from tips_model.train import sentences
from tips_model.train.importers import Label, Pair, Thing, import_pairs
from tips_model.train.sentences import (
    SentenceModel,
    SentenceModelError,
    embed_sentences,
    table_texts,
)
from tips_model.train.supervision import Sentences
from ui.cli import cli

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "dog", "cat", "on", "the", "left", "barn"]


def _write_model(folder: Path, seed: int) -> Path:
    """A random BERT of width 32 with eleven words, as sentence-transformers saves one."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    tokens = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(tokens, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=16,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "1_Pooling").mkdir()
    modes = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(modes | {"word_embedding": 32}))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write_model(tmp_path_factory.mktemp("sentence-model"), 0)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    image = out.getvalue()
    box = (0.0, 0.0, 0.5, 0.5)
    import_pairs(
        [
            Pair("a", image, "a dog", ("a cat on the left", "a dog"), objects=(Thing("dog", box),)),
            Pair("b", image, "the cat", webs=("a barn",), labels=(Label("barn, shed", 0.5),)),
            Pair("c", image, "a dog", ("the barn on the left",)),
        ],
        tmp_path / "t",
    )
    return tmp_path / "t"


TEXTS = [
    "a dog", "a cat on the left", "the cat", "a barn", "the barn on the left", "dog", "barn, shed",
]  # fmt: skip


def test_a_table_says_captions_then_names_then_words_and_each_once(table: Path, tmp_path: Path):
    words = tmp_path / "words.txt"
    words.write_text("a dog\nthe left\n")
    assert table_texts(table).to_list() == TEXTS
    assert table_texts(table, [words]).to_list() == [*TEXTS, "the left"]


def test_vectors_are_unit_means_over_the_tokens_of_a_text(folder: Path):
    """Against transformers' own model, padded and masked, in float32."""
    from transformers import BertModel

    model = SentenceModel(folder)
    tokens = model.tokens(TEXTS)
    assert tokens[0] == [2, 4, 5, 3]
    ids = torch.zeros(len(TEXTS), 16, dtype=torch.long)
    for row, numbers in enumerate(tokens):
        ids[row, : len(numbers)] = torch.tensor(numbers)
    mask = (ids > 0).long()
    plain = BertModel.from_pretrained(folder).eval()
    with torch.no_grad():
        hidden = plain(input_ids=ids, attention_mask=mask).last_hidden_state
    means = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    expected = torch.nn.functional.normalize(means, dim=1)
    found = torch.zeros(len(TEXTS), 32)
    for places, vectors in model.batches(TEXTS):
        assert len({len(tokens[place]) for place in places}) == 1
        found[places] = vectors
    torch.testing.assert_close(found.norm(dim=1), torch.ones(len(TEXTS)))
    assert (found * expected).sum(1).min() > 0.999


def test_long_texts_are_cut_to_what_the_model_takes(folder: Path):
    (tokens,) = SentenceModel(folder).tokens(["dog " * 50])
    assert len(tokens) == 16


def test_training_reads_the_vectors(folder: Path, table: Path):
    model = SentenceModel(folder)
    assert embed_sentences(table, model) == (7, 7)
    given = Sentences.read(table)
    assert list(given.texts) == TEXTS
    for places, vectors in model.batches(TEXTS):
        torch.testing.assert_close(
            given.of([TEXTS[place] for place in places]), vectors, atol=1e-3, rtol=0
        )
    assert [file.name for file in table.glob("sentences*")] == ["sentences.parquet"]


class _Killed(Exception):
    pass


def test_a_run_that_is_cut_off_goes_on(folder: Path, table: Path, monkeypatch: pytest.MonkeyPatch):
    model = SentenceModel(folder)
    embed_sentences(table, model)
    whole = pl.read_parquet(table / "sentences.parquet")
    (table / "sentences.parquet").unlink()
    monkeypatch.setattr(sentences, "_PART", 2)

    def stop(done: int, total: int) -> None:
        if done >= 4:
            raise _Killed

    with pytest.raises(_Killed):
        embed_sentences(table, model, progress=stop)
    assert not (table / "sentences.parquet").exists()
    torn = table / "sentences.parts" / "zz.parquet"
    torn.write_bytes(b"PAR1 torn")
    texts, computed = embed_sentences(table, model)
    assert texts == 7
    assert 0 < computed < 7
    assert pl.read_parquet(table / "sentences.parquet").equals(whole)
    assert not torn.exists()


def test_only_new_texts_are_computed_and_all_of_them_for_another_model(
    folder: Path, table: Path, tmp_path: Path
):
    model = SentenceModel(folder)
    embed_sentences(table, model)
    first = Sentences.read(table)
    words = tmp_path / "words.txt"
    words.write_text("the left\n")
    assert embed_sentences(table, model, words=[words]) == (8, 1)
    np.testing.assert_array_equal(Sentences.read(table).vectors[:7], first.vectors)
    assert embed_sentences(table, model) == (7, 0)
    other = SentenceModel(_write_model(tmp_path / "other", 1))
    assert embed_sentences(table, other) == (7, 7)
    assert np.abs(Sentences.read(table).vectors - first.vectors).max() > 0.01


def test_models_that_cannot_be_used_are_named(tmp_path: Path):
    with pytest.raises(SentenceModelError, match=r"lacks config.json, tokenizer.json, model"):
        SentenceModel(tmp_path)
    folder = _write_model(tmp_path / "m", 0)
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(SentenceModelError, match="m cannot be loaded: "):
        SentenceModel(folder)
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    with pytest.raises(SentenceModelError, match="does not take the mean of its tokens"):
        SentenceModel(folder)


def test_the_command_tells_what_it_made(folder: Path, table: Path):
    words = ["data", "sentences", str(table), "--model", str(folder)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert "Vectors of 7 texts in" in done.output
    assert "7 of them new." in done.output
    assert "0 of them new." in CliRunner().invoke(cli, words).output
    failed = CliRunner().invoke(cli, ["data", "sentences", str(table), "--model", str(table)])
    assert failed.exit_code == 2
    assert "lacks config.json" in failed.output
