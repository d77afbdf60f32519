from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from tips_model.eval.coco import CocoImage, CocoSet
from tips_model.eval.retrieval import DrawnCaptions, caption_recall, draw_captions, recall


def _slow_recall(queries, gallery, positives, k):
    hits = 0
    for query, right in zip(queries, positives, strict=True):
        scores = [float(query @ item) for item in gallery]
        order = sorted(range(len(gallery)), key=lambda i: -scores[i])
        hits += bool(set(order[:k]) & set(right))
    return hits / len(queries)


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_recall_equals_the_full_sort(chunk: int):
    rng = torch.Generator().manual_seed(0)
    queries = normalize(torch.randn(20, 8, generator=rng), dim=-1)
    gallery = normalize(torch.randn(30, 8, generator=rng), dim=-1)
    positives = [[i, (7 * i) % 30] for i in range(20)]
    found = recall(queries, gallery, positives, ks=(1, 5, 10), chunk=chunk)
    for k in (1, 5, 10):
        assert found[f"R@{k}"] == pytest.approx(_slow_recall(queries, gallery, positives, k))


def test_equal_scores_count_the_wrong_ones_first():
    assert recall(torch.ones(1, 2), torch.ones(4, 2), [[0]], ks=(1, 3, 4)) == {
        "R@1": 0.0, "R@3": 0.0, "R@4": 1.0,
    }  # fmt: skip


def test_both_directions_by_hand():
    images = torch.eye(3)
    texts = torch.tensor([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.0, 0.8, 0.2]])
    # texts 0 and 1 are image 0's, text 2 is image 1's; image 2 has none
    found = caption_recall(images, texts, [0, 0, 1], ks=(1, 2))
    assert found["text_to_image R@1"] == pytest.approx(2 / 3)
    assert found["text_to_image R@2"] == 1.0
    assert found["image_to_text R@1"] == pytest.approx(1 / 2)  # image 1 prefers text 1
    assert found["image_to_text R@2"] == 1.0


def drawn_from(captions: Sequence[int], most: int, seed: int = 0) -> DrawnCaptions:
    """Drawn from pictures with so many captions each, "PICTURE-NUMBER"."""
    images = tuple(
        CocoImage(Path("a.png"), 1, 1, tuple(f"{place}-{n}" for n in range(count)), ())
        for place, count in enumerate(captions)
    )
    return draw_captions(CocoSet(images, ()), most, seed)


def test_one_caption_is_drawn_of_each_picture():
    drawn = drawn_from([5] * 40, 30)
    assert len(set(drawn.image.tolist())) == 30
    assert [int(text.split("-")[0]) for text in drawn.texts] == drawn.image.tolist()
    assert {text.split("-")[1] for text in drawn.texts} == set("01234")
    assert drawn.gallery.tolist() == drawn.image.tolist()
    again, other = drawn_from([5] * 40, 30), drawn_from([5] * 40, 30, seed=1)
    assert again.texts == drawn.texts
    assert again.image.tolist() == drawn.image.tolist() != other.image.tolist()


def test_where_captions_are_few_other_pictures_join_the_gallery():
    drawn = drawn_from([0, 1, 0, 2, 0, 0], 4)
    assert sorted(drawn.image.tolist()) == [1, 3]
    assert drawn.gallery[:2].tolist() == drawn.image.tolist()
    assert len(set(drawn.gallery.tolist())) == 4
    assert sorted(drawn_from([0, 1, 0, 2, 0, 0], 100).gallery.tolist()) == list(range(6))
    assert drawn_from([0, 0], 2).texts == ()
