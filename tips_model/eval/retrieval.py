"""Retrieval recall@k, from text to image and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tips_model.eval.coco import CocoSet


def recall(
    queries: Tensor,
    gallery: Tensor,
    positives: Sequence[Sequence[int]],
    ks: Sequence[int] = (1, 5, 10),
    chunk: int = 1024,
) -> dict[str, float]:
    """{"R@1": ...}: fraction of queries with one of their positives among the k best.

    queries (Q, D), gallery (G, D) of unit norm; positives: for each query the indices of its right
    answers, at least one. Among equal scores the wrong ones rank higher. Computed in chunks, so
    that the whole matrix is never in memory.
    """
    ranks = []
    for start in range(0, len(queries), chunk):
        similarity = queries[start : start + chunk] @ gallery.T
        right = torch.zeros_like(similarity, dtype=torch.bool)
        for row, answers in enumerate(positives[start : start + chunk]):
            right[row, list(answers)] = True
        best = similarity.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
        ranks.append(((similarity >= best) & ~right).sum(1))
    rank = torch.cat(ranks)
    return {f"R@{k}": float((rank < k).float().mean()) for k in ks}


def caption_recall(
    images: Tensor, texts: Tensor, owner: Sequence[int], ks: Sequence[int] = (1, 5, 10)
) -> dict[str, float]:
    """Both directions for captions of pictures: "text_to_image R@1", "image_to_text R@1", ...

    images (N, D), texts (T, D); owner: the picture of each text. Pictures without text serve as
    distractors only.
    """
    of_image: dict[int, list[int]] = {}
    for text, image in enumerate(owner):
        of_image.setdefault(image, []).append(text)
    with_text = sorted(of_image)
    forth = recall(texts, images, [[image] for image in owner], ks)
    back = recall(images[with_text], texts, [of_image[image] for image in with_text], ks)
    result = {f"text_to_image {key}": value for key, value in forth.items()}
    return result | {f"image_to_text {key}": value for key, value in back.items()}


@dataclass(frozen=True, slots=True)
class DrawnCaptions:
    """Q captions, the pictures (Q,) that they describe, and the `gallery` (G,) to search: those
    pictures and others, all as indices into the set.
    """

    texts: tuple[str, ...]
    image: npt.NDArray[np.int64]
    gallery: npt.NDArray[np.int64]


def draw_captions(data: CocoSet, most: int, seed: int) -> DrawnCaptions:
    """One caption each of at most `most` pictures; if fewer have any, others join the gallery until
    it holds `most`, or the whole set.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data.images))
    told = np.array([bool(data.images[number].captions) for number in order], bool)
    image = order[told][:most]
    texts = []
    for number in image:
        captions = data.images[number].captions
        texts.append(captions[int(rng.integers(len(captions)))])
    others = order[~told][: most - len(image)]
    return DrawnCaptions(tuple(texts), image, np.concatenate([image, others]))
