from contextlib import closing
from dataclasses import replace

import pytest
import torch

from tests.tips_model.train.pairs import ColourSource, tiny_config, tokenizer, with_stage
from tips_model.train.config import TrainConfig, Weights
from tips_model.train.loader import Batch, assemble, caption_keys, is_chosen, load
from tips_model.train.source import RawBatch

TOKENIZE = tokenizer()


def batch_at(config: TrainConfig, step: int, rank: int = 0, world: int = 1) -> Batch:
    stage = config.stages[0]
    size = stage.batch // world
    raw = ColourSource().batch(stage, step, rank, world, size)
    return assemble(raw, config, stage, step, rank * size, TOKENIZE)


def same(one: Batch, other: Batch) -> bool:
    pairs = [(getattr(one, name), getattr(other, name)) for name in Batch.__slots__]
    return all(a is b if a is None or b is None else a.equal(b) for a, b in pairs)


def test_a_batch_is_a_pure_function_of_its_step() -> None:
    config = tiny_config()
    assert same(batch_at(config, 3), batch_at(config, 3))
    assert not batch_at(config, 3).crops.equal(batch_at(config, 4).crops)  # type: ignore[union-attr]


def test_two_processes_see_the_two_halves_of_one() -> None:
    config = tiny_config()
    whole, halves = batch_at(config, 1), [batch_at(config, 1, rank, 2) for rank in (0, 1)]
    for name in ("images", "crops", "mask", "web_keys", "caption_keys"):
        joined = torch.cat([getattr(half, name) for half in halves])
        assert joined.equal(getattr(whole, name)), name


def test_loading_from_a_step_on_gives_what_an_uninterrupted_run_sees() -> None:
    config = tiny_config(workers=2)
    with closing(load(config, ColourSource(), TOKENIZE, 0, 1, 0)) as batches:
        everything = list(batches)
    with closing(load(config, ColourSource(), TOKENIZE, 0, 1, 3)) as batches:
        rest = list(batches)
    assert len(everything) == 5
    assert all(same(a, b) for a, b in zip(everything[3:], rest, strict=True))


def test_crops_and_masks_are_made_only_for_losses_with_a_weight() -> None:
    bare = batch_at(tiny_config(Weights()), 0)
    assert bare.crops is None
    assert bare.mask is None
    assert batch_at(tiny_config(Weights(distill=1)), 0).mask is None
    unmasked = tiny_config()
    unmasked = replace(unmasked, objective=replace(unmasked.objective, mask_ratio=0.0))
    assert batch_at(unmasked, 0).mask is None


def test_one_synthetic_caption_is_drawn_anew_in_every_step() -> None:
    config = tiny_config(Weights())
    stage = config.stages[0]
    grey = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    keys = {text: int(caption_keys([text])) for text in ("a dog", "a cat", "a car")}
    raw = RawBatch(grey, ["x"], [list(keys)])
    drawn = [
        int(assemble(raw, config, stage, step, 0, TOKENIZE).caption_keys) for step in range(60)
    ]
    assert all(10 <= drawn.count(key) <= 30 for key in keys.values())


def test_keys_are_equal_for_equal_captions_only() -> None:
    keys = caption_keys(["a dog", "a cat", "a dog"]).tolist()
    assert keys[0] == keys[2] != keys[1]


def test_a_split_keeps_every_picture_with_its_crops_and_mask() -> None:
    whole = batch_at(with_stage(tiny_config(), self_share=0.5), 0)
    parts = whole.split(2)
    assert [part.chosen.tolist() for part in parts] == [[1, 3], [1, 3]]
    for name in ("images", "crops", "mask", "caption_ids"):
        assert torch.cat([getattr(part, name) for part in parts]).equal(getattr(whole, name))


@pytest.mark.parametrize("share", [1.0, 0.5, 0.25])
def test_a_share_of_the_pictures_is_spread_evenly(share: float) -> None:
    chosen = [is_chosen(number, share) for number in range(16)]
    assert sum(chosen[:8]) == sum(chosen[8:]) == 8 * share


def test_captions_can_be_padded_to_one_length() -> None:
    assert batch_at(tiny_config(pad_captions=20), 0).web_ids.shape == (8, 20)


def test_an_error_of_the_data_reaches_the_run() -> None:
    class Broken:
        def batch(self, *_: object) -> RawBatch:
            raise OSError("disk gone")

    with (
        closing(load(tiny_config(), Broken(), TOKENIZE, 0, 1, 0)) as batches,  # type: ignore[arg-type]
        pytest.raises(OSError, match="disk gone"),
    ):
        next(batches)
