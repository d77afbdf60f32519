"""The evaluation tasks for a COCO-format set. Each sees one picture at a time and keeps little.

`names` (is the nearest name one of the picture's), `search` (which pictures a name finds),
`retrieval` (captions and pictures, both CLS tokens), `pointing` and `segmentation` (patches against
names), `knn` (largest object by its picture's vector) and `probe` (linear classifier on patches).
The last two are fitted on the even pictures and scored on the odd ones.

Letters: N pictures, H x W pixels, h x w patches, D width, C names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tips_model.eval.coco import CocoImage, CocoSet, fit_labels, mask_of, shown_names
from tips_model.eval.encode import PatchKind, encode_images, encode_texts
from tips_model.eval.knn import knn_accuracy
from tips_model.eval.linear_probe import linear_probe, patch_labels
from tips_model.eval.pointing import Questions, centred, pointing
from tips_model.eval.ranking import FEWEST, name_chance, name_figures
from tips_model.eval.retrieval import caption_recall, recall
from tips_model.eval.segmentation import Confusion, class_scores, window_scores
from tips_model.model import TIPS
from tips_model.templates import TEMPLATES

PROBE_FLOATS = 1 << 28
"""Most numbers that the probe keeps of each half, 1 GB; larger sets are sampled evenly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """patches: the dense feature, None for the model's own; templates for names; window: side of
    the sliding windows of segmentation in pixels, 0 for none (they step by 3/4 of it)."""

    patches: PatchKind | None = None
    templates: Sequence[str] = TEMPLATES["plain"]
    window: int = 0


@dataclass(frozen=True, slots=True)
class Setting:
    """What all tasks share; names (C, D) of unit norm."""

    model: TIPS
    data: CocoSet
    options: Options
    names: Tensor


@dataclass(frozen=True, slots=True)
class View:
    """Picture `index` with the model's outputs: pixels uint8 (3, H, W); labels (H, W), categories
    or -1; patches (h, w, D) of unit norm."""

    index: int
    image: CocoImage
    pixels: Tensor
    labels: Tensor
    patches: Tensor


class Vectors(NamedTuple):
    """The vectors of all pictures by head, (N, D) of unit norm."""

    web: Tensor
    caption: Tensor


class Task:
    """One evaluator: `see` every picture in order, then return the `result`."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def see(self, view: View) -> None:
        """Keep what is needed of a picture; by default only its vectors are kept."""

    def result(self, vectors: Vectors) -> dict[str, float]:
        """Metrics by name, as fractions."""
        raise NotImplementedError


class NamesTask(Task):
    """Whether the name nearest to a picture is one of its objects' (pictures without objects are
    skipped).
    """

    def result(self, vectors: Vectors) -> dict[str, float]:
        """`web top1`, ..."""
        images = self.setting.data.images
        with_objects = [i for i, image in enumerate(images) if image.objects]
        positives = [sorted({entry.category for entry in images[i].objects}) for i in with_objects]
        found: dict[str, float] = {}
        for head, own in vectors._asdict().items():
            recalls = recall(own[with_objects], self.setting.names, positives, (1, 5))
            found |= {f"{head} {k.replace('R@', 'top')}": value for k, value in recalls.items()}
        return found


class SearchTask(Task):
    """Which pictures a name finds, for both heads: precision at 1 and mean average precision over
    the names that at least `FEWEST` pictures show, with their chance levels."""

    def result(self, vectors: Vectors) -> dict[str, float]:
        """`web P@1`, `web mAP`, ..., `chance P@1`, `chance mAP`."""
        shows = shown_names(self.setting.data)
        asked = shows.sum(axis=1) >= FEWEST
        found: dict[str, float] = {}
        for head, own in vectors._asdict().items():
            scores = (self.setting.names @ own.T).numpy()
            figures = name_figures(scores[asked], shows[asked])
            found |= {f"{head} {key}": value for key, value in figures.items()}
        return found | {f"chance {key}": value for key, value in name_chance(shows[asked]).items()}


class RetrievalTask(Task):
    """Recall of a caption's picture and of a picture's captions, for both heads."""

    def result(self, vectors: Vectors) -> dict[str, float]:
        """`web text_to_image R@1`, ..."""
        images = self.setting.data.images
        owner = [i for i, image in enumerate(images) for _ in image.captions]
        captions = [text for image in images for text in image.captions]
        texts = encode_texts(self.setting.model, captions)
        found: dict[str, float] = {}
        for head, own in vectors._asdict().items():
            recalls = caption_recall(own, texts, owner)
            found |= {f"{head} {key}": value for key, value in recalls.items()}
        return found


class PointingTask(Task):
    """Pointing at every object, averaged over objects; with the names unchanged and centred."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._texts = {"": setting.names}
        if len(setting.names) > 1:
            self._texts["centred "] = centred(setting.names)
        self._sums = dict[str, float]()
        self._count = 0

    def see(self, view: View) -> None:
        """Point at each object of the picture."""
        objects, shape = view.image.objects, view.labels.shape
        if not objects:
            return
        masks = [fit_labels(mask_of(view.image, e).astype(np.int64), *shape) for e in objects]
        questions = Questions(
            image=torch.zeros(len(masks), dtype=torch.int64),
            name=torch.tensor([entry.category for entry in objects]),
            mask=torch.stack(masks) > 0,
            foreground=(view.labels >= 0)[None],
        )
        for prefix, names in self._texts.items():
            for key, value in pointing(view.patches[None], names, questions).items():
                key = prefix + key
                self._sums[key] = self._sums.get(key, 0.0) + value * len(masks)
        self._count += len(masks)

    def result(self, vectors: Vectors) -> dict[str, float]:
        """`hit`, `hit_any`, ... and the same prefixed with `centred`."""
        found = {key: value / self._count for key, value in self._sums.items()}
        for prefix in self._texts:
            hit, hit_any = found[prefix + "hit"], found[prefix + "hit_any"]
            found[prefix + "right_given_hit"] = hit / max(hit_any, 1e-9)
        return found


class SegmentationTask(Task):
    """Mean IoU and accuracy over the pixels of objects, all names to choose from."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._confusion = Confusion(len(setting.names))

    def see(self, view: View) -> None:
        """Count the predicted names of its pixels."""
        names, window = self.setting.names, self.setting.options.window
        if window:
            scores = window_scores(view.pixels, self._dense, names, window)
        else:
            scores = class_scores(view.patches, names, *view.labels.shape)
        self._confusion.add(view.labels, scores.argmax(0))

    def _dense(self, windows: Tensor) -> Tensor:
        kind = self.setting.options.patches
        return encode_images(self.setting.model, windows, patches=kind).patches

    def result(self, vectors: Vectors) -> dict[str, float]:
        """`miou` and `accuracy`."""
        return dict(self._confusion.score()._asdict())


class KnnTask(Task):
    """The largest object's name from the nearest pictures, for both heads."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._kept: list[int] = []
        self._classes: list[int] = []

    def see(self, view: View) -> None:
        """Record the class with the most pixels."""
        known = view.labels[view.labels >= 0]
        if len(known):
            self._kept.append(view.index)
            self._classes.append(int(known.bincount().argmax()))

    def result(self, vectors: Vectors) -> dict[str, float]:
        """`web` and `caption`."""
        target, even, odd = torch.tensor(self._classes), self._kept[::2], self._kept[1::2]
        return {
            head: knn_accuracy(own[even], target[::2], own[odd], target[1::2], k=10)
            for head, own in vectors._asdict().items()
        }


class ProbeTask(Task):
    """Mean IoU over patches of a linear classifier, with background as a class."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        config = setting.model.config
        most = len(setting.data.images) * (config.image_size // config.vision.patch) ** 2
        self._step = max(1, -(-most * config.vision.width // (2 * PROBE_FLOATS)))
        self._halves: tuple[list[Tensor], list[Tensor]] = ([], [])
        self._labels: tuple[list[Tensor], list[Tensor]] = ([], [])

    def see(self, view: View) -> None:
        """Keep every patch, or every n-th of large sets, from a moving start."""
        rows, columns = view.patches.shape[:2]
        labels = patch_labels(view.labels, rows, columns, len(self.setting.names))
        kept = slice(view.index // 2 % self._step, None, self._step)
        self._halves[view.index % 2].append(view.patches.flatten(0, 1)[kept].clone())
        self._labels[view.index % 2].append(labels.flatten()[kept])

    def result(self, vectors: Vectors) -> dict[str, float]:
        """`miou` and `accuracy`."""
        train, test = (torch.cat(half) for half in self._halves)
        known, asked = (torch.cat(labels) for labels in self._labels)
        score = linear_probe(train, known, test, asked, len(self.setting.names) + 1)
        return dict(score._asdict())


TASKS: dict[str, Callable[[Setting], Task]] = {
    "names": NamesTask,
    "search": SearchTask,
    "retrieval": RetrievalTask,
    "pointing": PointingTask,
    "segmentation": SegmentationTask,
    "knn": KnnTask,
    "probe": ProbeTask,
}
