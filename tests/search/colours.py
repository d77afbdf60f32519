"""A small real model whose right answers can be computed by hand: it sees and reads colours.

A patch of 8 x 8 pixels is its mean colour, as closeness to ten named colours; a text is the named
colours in it. Both get an offset of their own (real towers have such a gap) and every text a little
of its own that means nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from tips_model.features import FeatureBatch, ModelInfo

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 160, 40),
    "blue": (30, 50, 220),
    "yellow": (240, 220, 30),
    "cyan": (40, 210, 220),
    "magenta": (220, 40, 200),
    "orange": (250, 130, 20),
    "white": (240, 240, 240),
    "black": (15, 15, 15),
    "grey": (128, 128, 128),
}
DIM = 32
PATCH = 8
MOST_WORDS = 12
_PROTOTYPES = np.array(list(COLOURS.values()), np.float32)
_PICTURE_OFFSET, TEXT_OFFSET = DIM - 1, DIM - 2


class ColourEmbedder:
    """An `Embedder` for colours; `seed` gives another model of the same shape, `blind` one that
    knows nothing.
    """

    def __init__(self, seed: int = 0, blind: bool = False) -> None:
        self._blind = blind
        self._seed = seed
        self.texts_seen: list[str] = []
        self.info = ModelInfo(
            name="colours",
            model_id=f"colours:{seed}:{blind}",
            dim=DIM,
            heads=("web", "caption"),
            retrieval_head="web",
            patch=PATCH,
            image_size=96,
        )

    def prepare(self, image: Image.Image) -> Tensor:
        pixels = np.asarray(image.convert("RGB").resize((96, 64)), np.uint8)
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1)

    def embed_images(self, images: Sequence[Tensor]) -> Iterator[FeatureBatch]:
        for index, image in enumerate(images):
            patches = self._patches(image.permute(1, 2, 0).numpy().astype(np.float32))
            mean = patches.reshape(-1, DIM).mean(axis=0, keepdims=True)
            heads = {"web": unit(mean), "caption": unit(mean[:, ::-1].copy())}
            yield FeatureBatch((index,), heads, torch.from_numpy(patches[None]))

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        self.texts_seen += texts
        rows = np.stack([noise(f"{self._seed} {text}") * 0.25 for text in texts])
        rows[:, TEXT_OFFSET] += 1
        for row, text in zip(rows, texts, strict=True):
            words = text.lower().replace(".", " ").split()
            for place, name in enumerate(COLOURS):
                if name in words and not self._blind:
                    row[place] += 1
        return unit(rows)

    def truncated(self, text: str) -> bool:
        return len(text.split()) > MOST_WORDS

    def _patches(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W, 3) -> (h, w, D), unit norm."""
        height, width = pixels.shape[0] // PATCH, pixels.shape[1] // PATCH
        cells = pixels.reshape(height, PATCH, width, PATCH, 3)
        means = cells.mean(axis=(1, 3))
        if self._blind:
            rows = [noise(f"{self._seed} {cell.tobytes()}") for cell in means.reshape(-1, 3)]
            return unit(np.stack(rows)).reshape(height, width, DIM)
        distance = np.linalg.norm(means[:, :, None] - _PROTOTYPES, axis=-1)
        features = np.zeros((height, width, DIM), np.float32)
        features[..., : len(COLOURS)] = np.exp(-((distance / 60) ** 2))
        features[..., _PICTURE_OFFSET] = 0.7
        return unit(features)


def noise(key: str) -> np.ndarray:
    """A unit vector (D,) float32 that is always the same for a key."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return unit(np.random.default_rng(seed).standard_normal((1, DIM)).astype(np.float32))[0]


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows at length 1, float32."""
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def paint(
    ground: str, things: Sequence[tuple[str, tuple[float, float, float, float]]], seed: int = 0
) -> Image.Image:
    """A picture of 192 x 128 pixels: coloured boxes (fractions) on a slightly noisy ground."""
    rng = np.random.default_rng(seed)
    pixels = np.array(COLOURS[ground], np.float32) + rng.normal(0, 6, (128, 192, 1))
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8).repeat(1, axis=2))
    draw = ImageDraw.Draw(image)
    for name, (x0, y0, x1, y1) in things:
        draw.rectangle((x0 * 192, y0 * 128, x1 * 192 - 1, y1 * 128 - 1), fill=COLOURS[name])
    return image


def save(image: Image.Image, path: Path, **exif: object) -> Path:
    """Write a JPEG with the EXIF facts `camera`, `f_number`, `taken` ("2021:05:03 10:00:00") and
    `place` (degrees).
    """
    facts = Image.Exif()
    if "camera" in exif:
        facts[0x0110] = exif["camera"]
    if "f_number" in exif:
        facts.get_ifd(0x8769)[0x829D] = exif["f_number"]
    if "taken" in exif:
        facts.get_ifd(0x8769)[0x9003] = exif["taken"]
    if "place" in exif:
        latitude, longitude = exif["place"]  # type: ignore[misc]
        facts.get_ifd(0x8825).update(
            {1: "N", 2: (latitude, 0.0, 0.0), 3: "E", 4: (longitude, 0.0, 0.0)}
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=95, subsampling=0, exif=facts)
    return path
