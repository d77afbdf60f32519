"""Evaluation of a model on everyday photographs: name and caption retrieval, and pointing. For use
during training; `bench/photographs.py` asks the whole product the same.

    photograph_figures(open_embedder("runs/nano/model"), read_coco_set(Path("photographs")))

Letters: N pictures, T names, B pictures of a batch, h x w patches, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from tips_model.eval.boxes import box_questions
from tips_model.eval.coco import CocoSet, EvalDataError, load_pictures, shown_names
from tips_model.eval.pointing import centred
from tips_model.eval.ranking import FEWEST, fused, name_chance, name_figures
from tips_model.eval.retrieval import DrawnCaptions, draw_captions, recall
from tips_model.features import Embedder
from tips_model.templates import TEMPLATES

Report = dict[str, dict[str, dict[str, float]]]
"""Task -> method -> metric -> value."""
CHUNK = 128
"""Pictures held in memory at once."""
DEPTHS = (1, 5, 10)
CAPTIONS = 1000
"""Size of the gallery for caption retrieval."""


def photograph_figures(
    embedder: Embedder, data: CocoSet, *, captions: int = CAPTIONS, seed: int = 0
) -> Report:
    """Every metric beside its chance level, as fractions.

    "name to photo": names that at least `FEWEST` pictures show, by the global vector, by the best
    patch, and by both. "caption to photo": by the global vector, among `captions` pictures drawn by
    `seed`; omitted if the set has no captions. "pointing": the best patch for a name, with the
    plain vectors and with the names' mean direction removed (`centred`). Raises `EvalDataError` if
    no name is shown by `FEWEST` pictures.
    """
    shows = shown_names(data)
    asked = np.flatnonzero(shows.sum(axis=1) >= FEWEST)
    if not len(asked):
        raise EvalDataError(f"The set has no name that {FEWEST} pictures show in instances.json.")
    plain = torch.from_numpy(embedder.embed_texts(data.categories))
    names = _named(embedder, data.categories)
    texts = torch.cat([names, centred(names)])
    vectors, best, points = _seen(embedder, data, texts)
    shows = shows[asked]
    by_photo = (plain @ vectors.T).numpy()[asked]
    by_patch = best[:, : len(names)].T.numpy()[asked]
    report: Report = {
        "name to photo": {
            "global vector": name_figures(by_photo, shows),
            "best patch": name_figures(by_patch, shows),
            "both": name_figures(fused(by_photo, by_patch), shows),
            "chance": name_chance(shows),
        }
    }
    drawn = draw_captions(data, captions, seed)
    if drawn.texts:
        told = torch.from_numpy(embedder.embed_texts(drawn.texts))
        place = [[number] for number in range(len(drawn.texts))]
        found = recall(told, vectors[torch.from_numpy(drawn.gallery)], place, DEPTHS)
        report["caption to photo"] = {"global vector": found, "chance": recall_chance(drawn)}
    questions = box_questions(data)
    report["pointing"] = {}
    for number, kind in enumerate(("", ", centred")):
        at = points[questions.image, questions.name + number * len(names)].double().numpy()
        for share, figures in questions.figures(at).items():
            report["pointing"][share + kind] = figures
    return report


def recall_chance(drawn: DrawnCaptions) -> dict[str, float]:
    """The recall of a random order of the gallery."""
    return {f"R@{depth}": min(1.0, depth / len(drawn.gallery)) for depth in DEPTHS}


def _named(embedder: Embedder, names: Sequence[str]) -> Tensor:
    """Names as the model compares them with patches, (T, D) of unit norm."""
    templates = TEMPLATES[embedder.info.prompts]
    filled = [template.format(name) for name in names for template in templates]
    vectors = torch.from_numpy(embedder.embed_texts(filled))
    return normalize(vectors.reshape(len(names), len(templates), -1).mean(dim=1), dim=-1)


def _seen(embedder: Embedder, data: CocoSet, texts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Global vectors (N, D), and for each of T texts the best patch of every picture: its score (N,
    T) and centre (N, T, 2), x and y as fractions.
    """
    info, count = embedder.info, len(data.images)
    vectors = torch.zeros(count, info.dim)
    best, points = torch.zeros(count, len(texts)), torch.zeros(count, len(texts), 2)
    for start in range(0, count, CHUNK):
        pictures = load_pictures(data.images[start : start + CHUNK], embedder.prepare)
        for batch in embedder.embed_images(pictures):
            rows = torch.tensor(batch.indices) + start
            vectors[rows] = torch.from_numpy(batch.heads[info.retrieval_head])
            height, width = batch.patches.shape[1:3]
            top = (batch.patches.flatten(1, 2) @ texts.T).max(dim=1)
            best[rows] = top.values
            x, y = top.indices % width, top.indices // width
            points[rows] = torch.stack([(x + 0.5) / width, (y + 0.5) / height], dim=-1)
    return vectors, best, points
