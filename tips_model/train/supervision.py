"""Additional supervision from a training table: names, sentence vectors and teacher features.

`objects.txt` and `labels.txt` in the table's folder list the names of boxes and of whole pictures,
`sentences.parquet` contains a frozen sentence model's vector for every caption, name and additional
word (`tips data sentences`). All of it is small compared with the pictures and is kept in memory.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from tips_model.train.config import TrainConfig
from tips_model.train.names import LABELS, OBJECTS, read_names
from tips_model.train.source import DataError, Source

SENTENCES = "sentences.parquet"


@dataclass(frozen=True, slots=True)
class Sentences:
    """Vectors of a frozen sentence model, by text: `vectors` float16 (T, S) of unit norm."""

    texts: Sequence[str]
    vectors: NDArray[np.float16]
    _rows: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", {text: row for row, text in enumerate(self.texts)})

    @property
    def width(self) -> int:
        """Length of a vector (S)."""
        return int(self.vectors.shape[1])

    def __contains__(self, text: str) -> bool:
        return text in self._rows

    def of(self, texts: Sequence[str]) -> Tensor:
        """float32 (B, S) for known texts. Raises KeyError for an unknown one."""
        rows = [self._rows[text] for text in texts]
        return torch.from_numpy(self.vectors[rows].astype(np.float32))

    @classmethod
    def read(cls, folder: Path) -> Sentences:
        """Read the vectors beside a table. Raises `DataError` if there are none."""
        path = folder / SENTENCES
        if not path.is_file():
            raise DataError(
                f"{folder} has no {SENTENCES}: `tips data sentences {folder} --model FOLDER` "
                "makes it."
            )
        try:
            table = pq.read_table(path, columns=["text", "vector"])
            texts = table["text"].to_pylist()
            flat = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            vectors = flat.astype(np.float16, copy=False).reshape(len(texts), -1)
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path} cannot be read, make it again ({error}).") from error
        if not texts:
            raise DataError(f"{path} is empty, make it again.")
        return cls(texts, vectors)


@dataclass(frozen=True, slots=True)
class Given:
    """Names and vectors that come with a table, for the losses on labels and boxes.

    objects: names of boxes; labels: names of whole pictures; features: width of the teacher's
    vectors, 0 without; without_features: rows that have none.
    """

    objects: Sequence[str] = ()
    labels: Sequence[str] = ()
    sentences: Sentences | None = None
    features: int = 0
    without_features: int = 0

    def names(self) -> list[str]:
        """All names, those of boxes first."""
        return [*self.objects, *self.labels]


def given_of(source: Source) -> Given | None:
    """The names and vectors that come with a source, if it has any (`given`)."""
    found: Given | None = getattr(source, "given", None)
    return found


def check_given(config: TrainConfig, given: Given | None) -> None:
    """Raises `DataError` if a run's losses need names or vectors and the data have none."""
    if given is None and _needs(config) != (False, False, False):
        raise DataError(
            f"Preset '{config.name}' learns from captions' vectors, names or boxes that come with "
            "a training table: name such a table (`tips data`) as its data, or take preset 'drawn' "
            "for scenes."
        )


def _needs(config: TrainConfig) -> tuple[bool, bool, bool]:
    """Whether a run's losses need sentence vectors, names, and a teacher's features."""
    weights = [stage.weights for stage in config.stages]
    vectors = config.objective.captions == "sentences" or any(w.sentences for w in weights)
    named = any(w.labels or w.regions or w.pointing for w in weights)
    return vectors, named, any(w.features for w in weights)


def read_given(folder: Path, table: Any, config: TrainConfig) -> Given | None:
    """Read what a run's losses need from the data in `folder`, whose Lance table is `table`.

    None if they need nothing. Raises `DataError` that names what is missing.
    """
    vectors, named, featured = _needs(config)
    if not (vectors or named or featured):
        return None
    weights = [stage.weights for stage in config.stages]
    objects, labels = (read_names(folder, file) if named else () for file in (OBJECTS, LABELS))
    if not objects and any(w.regions or w.pointing for w in weights):
        raise DataError(
            f"The table in {folder} has no boxes, which the losses `regions` and `pointing` of "
            f"preset '{config.name}' need: import it with boxes."
        )
    if named and not (objects or labels):
        raise DataError(
            f"The table in {folder} has neither boxes nor labels, which the loss `labels` of "
            f"preset '{config.name}' needs: import it with one of them."
        )
    width, without = _features(table) if featured else (0, 0)
    if featured and not width:
        raise DataError(
            f"The table in {folder} has no features, which the loss `features` of preset "
            f"'{config.name}' needs: import it with a teacher's vectors."
        )
    given = Given(objects, labels, Sentences.read(folder) if vectors else None, width, without)
    if config.objective.captions == "sentences":
        _check_vectors(folder, table, given)
    if without:
        rows = f"{without} of {table.count_rows()} rows"
        print(f"{rows} have no features and train without them.", file=sys.stderr, flush=True)
    return given


def _features(table: Any) -> tuple[int, int]:
    """Width of the teacher's vectors, 0 when there are none, and the rows that have none.

    Raises `DataError` when they have several widths.
    """
    if "features" not in table.schema.names:
        return 0, 0
    batches = table.search().select(["features"]).limit(None).to_batches()
    counts = Counter[int]()
    for batch in batches:
        counts.update(pc.fill_null(pc.list_value_length(batch["features"]), 0).to_pylist())
    found = [width for width in counts if width]
    if len(found) > 1:
        raise DataError(f"The table's features have several widths: {sorted(found)}.")
    return (found[0] if found else 0), counts[0]


def _check_vectors(folder: Path, table: Any, given: Given) -> None:
    """Raises `DataError` when a caption or name has no sentence vector."""
    assert given.sentences is not None
    columns = [name for name in ("web", "webs", "synthetic") if name in table.schema.names]
    missing: set[str] = {name for name in given.names() if name not in given.sentences}
    for batch in table.search().select(columns).limit(None).to_batches():
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            texts = column if name == "web" else column.flatten()
            missing.update(text for text in texts.to_pylist() if text not in given.sentences)
    missing -= {None, ""}
    if missing:
        raise DataError(
            f"{len(missing)} texts of the table in {folder} have no sentence vector, one of them "
            f"{min(missing)!r}: run `tips data sentences {folder} --model FOLDER` again."
        )
