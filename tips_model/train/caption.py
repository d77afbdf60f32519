"""Synthetic captions: a vision-language model describes the pictures of a training table.

The TIPS papers took PaliGemma (v1) and PaliGemma with Gemini (v2). Any image-text-to-text model of
transformers can be used. Every batch is one atomic commit, and pictures that have enough captions
are skipped, so an interrupted run resumes where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from PIL import Image

from tips_model.errors import TipsError, check_installed
from tips_model.pictures import open_picture, upright_rgb
from tips_model.train.dataset import open_table
from tips_model.train.source import DataError

MODEL = "google/paligemma-3b-mix-448"
PROMPT = "caption en"


class CaptionModelError(TipsError):
    """A captioning model that cannot be loaded."""


class Captioner:
    """Describes pictures with one prompt, greedily, so that the same picture gets the same caption.

    `model`: a name on the hub or a folder. Models with a chat template get the prompt as a user
    message; others, such as PaliGemma, get it after the image tokens.
    """

    def __init__(
        self, model: str = MODEL, *, prompt: str = PROMPT, device: str = "cpu", tokens: int = 64
    ) -> None:
        check_installed("train", "transformers")
        import transformers

        library: Any = transformers  # partly untyped
        try:
            self._processor = library.AutoProcessor.from_pretrained(model)
            loaded = library.AutoModelForImageTextToText.from_pretrained(model)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise CaptionModelError(f"The model {model} cannot be loaded: {reason}") from error
        self._model = loaded.to(device).eval()
        self._device = device
        self._tokens = tokens
        self._text = self._prompt(prompt)

    def _prompt(self, prompt: str) -> str:
        """The prompt for one picture in the model's own format."""
        if getattr(self._processor, "chat_template", None):
            content = [{"type": "image"}, {"type": "text", "text": prompt}]
            message = [{"role": "user", "content": content}]
            text = self._processor.apply_chat_template(message, add_generation_prompt=True)
            return str(text)
        return str(getattr(self._processor, "image_token", "<image>")) + prompt

    @torch.inference_mode()
    def __call__(self, images: Sequence[Image.Image]) -> list[str]:
        """One caption for each picture (RGB), stripped, possibly empty."""
        texts = [self._text] * len(images)
        inputs = self._processor(
            images=list(images), text=texts, return_tensors="pt", padding=True
        ).to(self._device)
        inputs.pop("labels", None)
        out = self._model.generate(**inputs, max_new_tokens=self._tokens, do_sample=False)
        new = out[:, inputs["input_ids"].shape[1] :]
        told = self._processor.batch_decode(new, skip_special_tokens=True)
        return [" ".join(str(text).split()) for text in told]


def add_captions(
    folder: Path,
    describe: Callable[[Sequence[Image.Image]], list[str]],
    *,
    captions: int = 1,
    batch: int = 8,
    progress: Callable[[int], None] | None = None,
) -> tuple[int, list[str]]:
    """Add one caption to each row that has fewer than `captions` synthetic ones.

    Returns how many rows got one, and the keys of rows that did not, because their picture cannot
    be decoded or the caption was empty or a duplicate (a model gives the same answer when asked
    again). Raises `DataError` if two rows have the same key.
    """
    table = open_table(folder)
    facts = table.search().select(["key", "synthetic"]).limit(table.count_rows()).to_arrow()
    keys = facts["key"].to_pylist()
    if len(set(keys)) != len(keys):
        raise DataError(
            f"Rows of the table in {folder} share a key; import the data again under names that "
            "differ."
        )
    counts = [len(texts) for texts in facts["synthetic"].to_pylist()]
    wanted = [key for key, count in zip(keys, counts, strict=True) if count < captions]
    added, failed = 0, list[str]()
    for rows in _rows(table, wanted, batch):
        pictures = [_picture(row) for row in rows]
        usable = [index for index, picture in enumerate(pictures) if picture is not None]
        told = describe([p for p in pictures if p is not None]) if usable else []
        texts = {
            index: text
            for index, text in zip(usable, told, strict=True)
            if text not in rows[index]["synthetic"]
        }
        failed += [row["key"] for index, row in enumerate(rows) if not texts.get(index)]
        done = [
            row | {"synthetic": [*row["synthetic"], texts[index]]}
            for index, row in enumerate(rows)
            if texts.get(index)
        ]
        if done:
            merge = table.merge_insert("key").when_matched_update_all()
            merge.execute(pa.Table.from_pylist(done, schema=table.schema))
        added += len(done)
        if progress is not None:
            progress(added + len(failed))
    return added, failed


def _rows(table: Any, keys: Sequence[str], size: int) -> Iterator[list[dict[str, Any]]]:
    """The rows of some keys, in batches of `size`."""
    for start in range(0, len(keys), size):
        part = keys[start : start + size]
        quoted = ", ".join("'" + key.replace("'", "''") + "'" for key in part)
        found = table.search().where(f"key IN ({quoted})").limit(len(part)).to_arrow()
        yield found.select(table.schema.names).to_pylist()


def _picture(row: dict[str, Any]) -> Image.Image | None:
    """The row's picture, or None if it cannot be decoded."""
    try:
        with open_picture(row["image"]) as image:
            return upright_rgb(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
