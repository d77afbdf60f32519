"""A frozen sentence model, and its vectors for all texts of a training table.

The vectors are written in parts as they are computed, and merged at the end, so that an interrupted
run resumes where it stopped, and a run on a table with new captions computes only those.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from tips_model.atomic import replacing
from tips_model.errors import TipsError, check_installed
from tips_model.processor import bfloat16_pays
from tips_model.train.dataset import open_table
from tips_model.train.names import LABELS, OBJECTS, listed_names, read_names
from tips_model.train.supervision import SENTENCES

_PARTS = "sentences.parts"  # a folder beside the table
_PART = 8192  # texts per part
_TOKENS = 2048  # tokens computed at once
_MODEL = b"model"  # in the files' metadata: which model made them
_FILES = ("config.json", "tokenizer.json", "model.safetensors", "1_Pooling/config.json")


class SentenceModelError(TipsError):
    """A sentence model that is missing, incomplete, or unsupported."""


class SentenceModel:
    """The mean of a model's token vectors for a text, as unit vectors of width S.

    folder: a BERT-like model in sentence-transformers format. Computes in bfloat16 if the processor
    supports it, which changes a vector by an angle of less than one degree. Raises
    `SentenceModelError` for a folder with missing files or another kind of pooling.
    """

    def __init__(self, folder: Path, *, device: str = "cpu") -> None:
        missing = [name for name in _FILES if not (folder / name).is_file()]
        if missing:
            raise SentenceModelError(f"The sentence model in {folder} lacks {', '.join(missing)}.")
        pooling = json.loads((folder / "1_Pooling" / "config.json").read_text("utf-8"))
        modes = [name for name, used in pooling.items() if used is True and "mode" in name]
        if modes != ["pooling_mode_mean_tokens"]:
            raise SentenceModelError(
                f"The sentence model in {folder} does not take the mean of its tokens; choose one "
                "that does."
            )
        check_installed("train", "transformers")
        import tokenizers
        import transformers

        library: Any = transformers  # partly untyped
        library.utils.logging.disable_progress_bar()
        quick = bfloat16_pays(device)
        try:
            model = library.AutoModel.from_pretrained(
                folder, local_files_only=True, dtype=torch.bfloat16 if quick else torch.float32
            )
            self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # both libraries raise many kinds of exceptions
            reason = str(error).partition("\n")[0]
            raise SentenceModelError(f"The model in {folder} cannot be loaded: {reason}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_longest(folder, model.config.max_position_embeddings))
        self._model = model.to(device).eval()
        self._device = device
        self.width = int(model.config.hidden_size)
        self.fingerprint = _fingerprint(folder)
        """Names the model by its files' content."""

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of texts; longer ones than the model takes are truncated."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    @torch.inference_mode()
    def vectors(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """float32 (B, S) on the CPU for texts that all have the same number of tokens.

        There is no padding, so no computation is wasted.
        """
        ids = torch.tensor(tokens, device=self._device)
        hidden = self._model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        return torch.nn.functional.normalize(hidden.float().mean(1), dim=1).cpu()

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], Tensor]]:
        """Vectors (B, S) of all texts with their indices, texts with few tokens first.

        Each of torch's threads computes its own batch: within such small operations they would
        mostly wait for each other, especially on a busy machine.
        """
        tokens = self.tokens(texts)
        lengths = np.array([len(ids) for ids in tokens], np.int64)
        order = np.argsort(lengths, kind="stable")
        parts: list[list[int]] = []
        for same in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
            size = max(1, _TOKENS // int(lengths[same[0]])) if len(same) else 1
            parts += [same[start : start + size].tolist() for start in range(0, len(same), size)]
        threads = torch.get_num_threads()
        workers = threads if self._device == "cpu" else 1
        pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
        try:
            made = pool.map(lambda part: self.vectors([tokens[place] for place in part]), parts)
            yield from zip(parts, made, strict=True)
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)


def embed_sentences(
    folder: Path,
    model: SentenceModel,
    *,
    words: Sequence[Path] = (),
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, int]:
    """Write the vectors of a table's captions and names, and of the lines of `words`, beside it.

    Returns how many texts there are, and how many vectors had to be computed; `progress` is called
    with the number computed so far. Vectors of another model are recomputed.
    """
    texts = table_texts(folder, words)
    parts = folder / _PARTS
    parts.mkdir(exist_ok=True)
    vectors = np.zeros((len(texts), model.width), np.float16)
    known = np.zeros(len(texts), bool)
    row = pl.DataFrame({"text": texts}).with_row_index()
    for file in [folder / SENTENCES, *sorted(parts.glob("*.parquet"))]:
        found = _read(file, model)
        if found is not None:
            names = pl.DataFrame({"text": found[0]}).with_row_index("place")
            both = names.join(row, on="text")
            vectors[both["index"].to_numpy()] = found[1][both["place"].to_numpy()]
            known[both["index"].to_numpy()] = True
    missing = np.flatnonzero(~known)
    asked = texts.gather(missing).to_list()
    number, done = 0, 0
    fresh: list[int] = []
    for places, made in model.batches(asked):
        index = missing[places]
        vectors[index] = made.numpy()
        fresh += index.tolist()
        done += len(places)
        if len(fresh) >= _PART:
            while (part := parts / f"{number:06d}.parquet").exists():
                number += 1
            _write(part, model, texts.gather(fresh), vectors[fresh])
            fresh = []
        if progress is not None:
            progress(done, len(missing))
    _write(folder / SENTENCES, model, texts, vectors)
    shutil.rmtree(parts)
    return len(texts), len(missing)


def table_texts(folder: Path, words: Sequence[Path] = ()) -> pl.Series:
    """All texts of a table: captions in the order of its rows, names, and the lines of `words`."""
    table = open_table(folder)
    columns = [name for name in ("web", "webs", "synthetic") if name in table.schema.names]
    found = [pl.Series("text", [], pl.String)]
    for batch in table.search().select(columns).limit(table.count_rows()).to_batches():
        told = pl.DataFrame(pa.Table.from_batches([batch])).select(
            pl.concat_list(
                pl.col(name).fill_null([]) if name != "web" else pl.col(name) for name in columns
            ).alias("text")
        )
        found.append(told["text"].explode().unique(maintain_order=True))
    names = [*read_names(folder, OBJECTS), *read_names(folder, LABELS)]
    for file in words:
        names += listed_names(file)
    found.append(pl.Series("text", names, pl.String))
    texts = pl.concat(found).drop_nulls().unique(maintain_order=True)
    return texts.filter(texts != "")


def _longest(folder: Path, limit: int) -> int:
    """The largest number of tokens that the model takes."""
    file = folder / "sentence_bert_config.json"
    told = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return min(int(told.get("max_seq_length") or limit), limit)


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in _FILES:
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _read(file: Path, model: SentenceModel) -> tuple[list[str], NDArray[np.float16]] | None:
    """Texts and vectors (T, S) of a file written with this model; None otherwise."""
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowException):  # missing or truncated: its vectors are recomputed
        return None
    if (table.schema.metadata or {}).get(_MODEL) != model.fingerprint.encode():
        return None
    flat = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return table["text"].to_pylist(), flat.reshape(-1, model.width)


def _write(
    file: Path, model: SentenceModel, texts: pl.Series, vectors: NDArray[np.float16]
) -> None:
    """Write texts and vectors (T, S) to a file atomically."""
    ends = np.arange(len(vectors) + 1, dtype=np.int32) * model.width
    column = pa.ListArray.from_arrays(pa.array(ends), pa.array(vectors.ravel(), pa.float16()))
    table = pa.table({"text": texts.to_arrow().cast(pa.string()), "vector": column})
    with replacing(file) as stream:
        pq.write_table(table.replace_schema_metadata({_MODEL: model.fingerprint}), stream)
