"""Training on a table with labels, boxes, a teacher's vectors and sentence vectors, end to end."""

from __future__ import annotations

import io
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import tips_model
from tests.tips_model.train.pairs import COLOURS, ColourSource, tiny_config, tokenizer, with_stage
from tips_model.train.batch import Batch
from tips_model.train.config import ConfigError, TrainConfig, Weights
from tips_model.train.dataset import TableSource, record_batches, write_table
from tips_model.train.importers import Pair, import_pairs
from tips_model.train.loader import load
from tips_model.train.schedules import loss_weights
from tips_model.train.setup import build
from tips_model.train.source import DataError, Label, Thing
from tips_model.train.supervision import SENTENCES
from tips_model.train.train import run

EVERYTHING = Weights(
    web=1.0, caption=0.5, features=1.0, labels=0.5, regions=0.5, pointing=0.5, sentences=0.5
)
NAMES = tuple(COLOURS)


def picture(name: str, side: int = 24) -> bytes:
    """A square of the colour in the left half of a grey picture."""
    image = Image.new("RGB", (side, side), "grey")
    image.paste(COLOURS[name], (0, 0, side // 2, side))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def table(folder: Path, *, features: bool = True, rows: int = 16) -> Path:
    """One row for each number: a colour on the left, its name as label and box; every fourth row
    has no features, and the last one no caption."""
    pairs = []
    for number in range(rows):
        name = NAMES[number % len(NAMES)]
        vector = np.eye(len(NAMES), dtype=np.float16)[number % len(NAMES)]
        pairs.append(
            Pair(
                str(number),
                picture(name),
                "" if number == rows - 1 else f"{name} wall",
                () if number == rows - 1 else (f"{name} on the left",),
                objects=(Thing(name, (0.0, 0.0, 0.5, 1.0), score=0.9),),
                labels=(Label(name, 0.8),),
                features=vector if features and number % 4 else None,
            )
        )
    import_pairs(pairs, folder)
    return folder


def sentences(folder: Path, texts: list[str], width: int = 6) -> None:
    vectors = np.random.default_rng(0).standard_normal((len(texts), width))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    flat = pa.array(vectors.astype(np.float16).ravel())
    column = pa.FixedSizeListArray.from_arrays(flat, width)
    pq.write_table(pa.table({"text": texts, "vector": column}), folder / SENTENCES)


def texts() -> list[str]:
    return [text for name in NAMES for text in (name, f"{name} wall", f"{name} on the left")]


def labelled_config(weights: Weights = EVERYTHING, captions: str = "sentences") -> TrainConfig:
    config = tiny_config(Weights())
    objective = replace(config.objective, teacher="none", captions=captions)  # type: ignore[arg-type]
    texts = 8 if weights.sentences else 0
    config = with_stage(config, weights=weights, crops=0, texts=texts)
    return replace(config, objective=objective)


def source_of(folder: Path, config: TrainConfig) -> TableSource:
    source = TableSource(folder)
    source.read_given(config)
    return source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = table(tmp_path / "table")
    sentences(found, texts())
    return found


def batch(source: TableSource, config: TrainConfig, step: int = 0) -> Batch:
    with closing(load(config, source, tokenizer(), 0, 1, step)) as batches:
        return next(batches)


def values(config: TrainConfig, source: TableSource) -> dict[str, float]:
    """The losses of the first step of a new learner."""
    learner, _ = build(config, source.given, tokenizer())
    found = learner(batch(source, config), loss_weights(config, 0), None, 0.07)
    return {name: value.item() for name, value in found.items()}


def test_every_loss_falls_in_a_run_on_what_a_table_gives(folder: Path, tmp_path: Path) -> None:
    config = with_stage(labelled_config(), steps=40, box_crops=0.25, patch_dropout=0.25)
    source = source_of(folder, config)
    assert run(config, source, tokenizer(), tmp_path / "run").finished
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    first, last = json.loads(lines[0]), json.loads(lines[-1])
    for name in ("web", "caption", "features", "labels", "regions", "pointing", "sentences"):
        assert last[name] < first[name], name
    model = tips_model.load(str(tmp_path / "run" / "model"))
    assert not [name for name, _ in model.named_parameters() if "given" in name]


def test_names_meet_places_without_a_sentence_model(folder: Path) -> None:
    weights = Weights(labels=0.5, regions=0.5, pointing=0.5)
    config = labelled_config(weights, captions="tower")
    (folder / SENTENCES).unlink()
    assert set(values(config, source_of(folder, config))) == {
        "web", "caption", "labels", "regions", "pointing"
    }  # fmt: skip


def test_a_stage_for_the_text_tower_alone_looks_at_no_picture(folder: Path, tmp_path: Path) -> None:
    config = labelled_config(Weights(web=0.0, caption=0.0, sentences=1.0))
    source = source_of(folder, config)
    assert len(batch(source, config).images) == 0
    learner, _ = build(config, source.given, tokenizer())
    before = learner.vision.patch_embed.weight.detach().clone()
    assert run(config, source, tokenizer(), tmp_path / "run").finished
    model = tips_model.load(str(tmp_path / "run" / "model"))
    assert torch.equal(model.vision.patch_embed.weight, before)


def test_accumulated_passes_give_each_part_its_own_boxes_and_texts(folder: Path) -> None:
    config = labelled_config()
    whole = batch(source_of(folder, config), config)
    parts = whole.split(2)
    assert sum(len(part.images) for part in parts) == len(whole.images)
    for name in ("boxes", "box_names", "text_ids", "text_vectors", "features", "web_vectors"):
        assert torch.cat([getattr(part, name) for part in parts]).equal(getattr(whole, name)), name
    pictures = [part.box_pictures + i * 4 for i, part in enumerate(parts)]  # type: ignore[operator]
    assert torch.cat(pictures).equal(whole.box_pictures)  # type: ignore[arg-type]


def test_captions_that_speak_of_sides_are_not_mirrored(folder: Path) -> None:
    config = with_stage(labelled_config(), flip=1.0, global_scale=(1.0, 1.0))
    for thing in batch(source_of(folder, config), config).boxes:  # type: ignore[union-attr]
        assert thing.tolist() == [0.0, 0.0, 0.5, 1.0]  # every caption says "on the left"


def test_box_crops_are_named_by_their_box_and_have_no_features(folder: Path) -> None:
    config = with_stage(labelled_config(), box_crops=1.0)
    source = source_of(folder, config)
    made = batch(source, config)
    assert made.web_keys.equal(made.caption_keys)
    assert not made.features.any()  # type: ignore[union-attr]
    assert not made.label_targets.any()  # type: ignore[union-attr]
    assert made.object_targets.sum(dim=1).eq(1).all()  # type: ignore[union-attr]


def test_rows_without_features_and_without_captions_are_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = source_of(folder, labelled_config())
    said = capsys.readouterr().err
    assert "4 of 16 rows have no features and train without them." in said
    assert "1 of 16 rows" in said
    assert len(source) == 15
    stage = labelled_config().stages[0]
    seen = [text for step in range(15) for text in source.batch(stage, step, 0, 1, 1).web]
    assert sorted(seen) == sorted(f"{NAMES[n % 8]} wall" for n in range(15))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (Weights(regions=1), "has no boxes"),
        (Weights(labels=1), "has neither boxes nor labels"),
        (Weights(features=1), "has no features"),
        (Weights(sentences=1), "tips data sentences"),
    ],
)
def test_what_is_missing_is_said_before_training(
    weights: Weights, message: str, tmp_path: Path
) -> None:
    import_pairs([Pair("0", picture("red"), "red wall")], tmp_path)
    config = labelled_config(weights, captions="tower")
    with pytest.raises(DataError, match=message):
        source_of(tmp_path, config)


def test_a_source_without_names_and_vectors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="take preset 'drawn' for scenes"):
        run(labelled_config(), ColourSource(), tokenizer(), tmp_path)


def test_a_caption_without_a_vector_is_named(folder: Path) -> None:
    sentences(folder, texts()[1:])
    with pytest.raises(DataError, match=r"1 text without .* 'red'"):
        source_of(folder, labelled_config())


def test_features_of_two_widths_are_refused(tmp_path: Path) -> None:
    rows = [
        {"key": str(n), "image": picture("red"), "web": "red", "synthetic": [], "objects": None,
         "features": np.ones(n, np.float16)} for n in (3, 4)
    ]  # fmt: skip
    write_table(tmp_path, record_batches(rows))
    config = labelled_config(Weights(features=1), captions="tower")
    with pytest.raises(DataError, match=r"several widths: \[3, 4\]"):
        source_of(tmp_path, config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_dropout": 1.0}, "patch_dropout"),
        ({"box_crops": 1.5}, "box_crops"),
        ({"texts": 0}, "both or none"),
        ({"final": 2.0}, "final"),
        ({"warmup": -1}, "warmup"),
        ({"weights": Weights(regions=-1), "texts": 0}, "below 0"),
    ],
)
def test_stages_that_cannot_be_run_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_stage(labelled_config(), **changes)
