import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tips_model.layouts import SMALL, TOKENIZER
from tips_model import TIPS, TipsError
from tips_model.config import TextConfig, VisionConfig
from tips_model.embedder import TipsEmbedder, open_embedder
from tips_model.errors import ModelNameError, WeightsError
from tips_model.features import group_by_size
from tips_model.tokenizer import TextError, Tokenizer

CONFIG = replace(SMALL, image_size=112)


def build(config=CONFIG, **options):
    model = TIPS(config, seed=3)
    model.tokenizer = Tokenizer(TOKENIZER)
    return TipsEmbedder(model, **options)


def picture(width, height, seed):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def embedder():
    return build()


@pytest.fixture(scope="module")
def prepared(embedder):
    sizes = [(400, 300), (300, 300), (300, 400), (400, 300), (90, 300), (300, 300), (800, 600)]
    return [embedder.prepare(picture(*size, seed)) for seed, size in enumerate(sizes)]


def test_pictures_are_grouped_by_size_and_each_comes_once(embedder, prepared):
    batches = list(embedder.embed_images(prepared))
    groups = [batch.indices for batch in batches]
    assert groups == [(0, 3, 6), (1, 5), (2,), (4,)]
    for batch in batches:
        _, height, width = prepared[batch.indices[0]].shape
        assert batch.patches.shape == (len(batch.indices), height // 14, width // 14, 32)


def test_groups_are_bounded_in_tokens():
    images = [torch.zeros(3, 448, 448, dtype=torch.uint8)] * 20
    assert [len(group) for group in group_by_size(images, 14)] == [8, 8, 4]


def test_features_have_length_one_and_are_float32(embedder, prepared):
    for batch in embedder.embed_images(prepared):
        assert set(batch.heads) == {"web", "caption"} == set(embedder.info.heads)
        for vectors in batch.heads.values():
            assert vectors.dtype == np.float32
            assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
        assert batch.patches.dtype == torch.float32
        assert torch.allclose(batch.patches.norm(dim=-1), torch.tensor(1.0), atol=1e-5)


def test_a_picture_does_not_depend_on_its_batch_and_runs_repeat(embedder, prepared):
    (together, *_) = embedder.embed_images(prepared)
    (again, *_) = embedder.embed_images(prepared)
    (alone,) = embedder.embed_images([prepared[3]])
    assert np.array_equal(together.heads["web"], again.heads["web"])
    assert torch.equal(together.patches, again.patches)
    assert np.allclose(together.heads["web"][1], alone.heads["web"][0], atol=1e-5)
    assert torch.allclose(together.patches[1], alone.patches[0], atol=1e-5)


def test_features_are_those_of_the_model(embedder, prepared):
    model = TIPS(CONFIG, seed=3).eval().requires_grad_(False)
    (batch, *_) = embedder.embed_images(prepared[1:2])
    out = model.vision(prepared[1][None].float() / 255, values=True)
    assert np.allclose(batch.heads["caption"], torch.nn.functional.normalize(out.cls_caption))
    assert torch.allclose(batch.patches, torch.nn.functional.normalize(out.patches, dim=-1))


def test_bfloat16_stays_close_to_float32():
    shape = {"width": 384, "depth": 4, "heads": 6, "mlp_hidden": 1536}
    config = replace(
        CONFIG, vision=VisionConfig(**shape, grid=8), text=TextConfig(**shape, vocab=400)
    )
    exact, fast = build(config, bf16=False), build(config, bf16=True)
    images = [exact.prepare(picture(300, 200, seed)) for seed in range(2)]
    (a,), (b,) = exact.embed_images(images), fast.embed_images(images)
    assert not torch.equal(a.patches, b.patches)
    for head in ("web", "caption"):
        assert (a.heads[head] * b.heads[head]).sum(axis=1).min() > 0.999
    assert (a.patches * b.patches).sum(dim=-1).min() > 0.999


def test_small_models_stay_in_float32(embedder):
    assert not embedder._bf16


def test_texts_have_length_one_in_their_order(embedder):
    texts = ["a red cat", "a dog under a tree " * 30, "house"]
    vectors = embedder.embed_texts(texts)
    assert vectors.shape == (3, 32)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        assert np.allclose(embedder.embed_texts([text])[0], vector, atol=1e-5)
    assert embedder.embed_texts([]).shape == (0, 32)


def test_long_texts_are_told_apart(embedder):
    assert embedder.truncated("cat " * 65)
    assert not embedder.truncated("cat " * 64)


def test_empty_text_is_refused(embedder):
    with pytest.raises(TextError, match="empty"):
        embedder.embed_texts([" "])


def test_preparing_in_threads_gives_the_same_pixels(embedder):
    pictures = [picture(300, 200 + 10 * seed, seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(embedder.prepare, pictures))
    assert all(torch.equal(a, embedder.prepare(b)) for a, b in zip(threaded, pictures, strict=True))


def test_model_id_names_weights_preprocessing_dense_feature_and_tokenizer(embedder):
    assert embedder.info.model_id == "small:random-3:fit1-112:values_ffn:93ac65cbac2f8752"
    assert build(replace(CONFIG, dense="values")).info.model_id != embedder.info.model_id
    assert embedder.info.dim == 32
    assert embedder.info.retrieval_head == "web"


def test_model_without_tokenizer_is_refused():
    with pytest.raises(WeightsError, match="no tokenizer"):
        TipsEmbedder(TIPS(CONFIG))


def test_names_open_the_right_embedder():
    nano = open_embedder("nano")
    assert nano.info.name == "nano"
    assert nano.info.model_id == open_embedder("nano").info.model_id
    with pytest.raises(ModelNameError):
        open_embedder("clip")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_missing_device_is_one_sentence():
    with pytest.raises(TipsError, match="cuda:0 is not available"):
        open_embedder("nano", device="cuda:0")


def test_import_stays_light():
    code = (
        "import sys, tips_model, tips_model.embedder\n"
        "heavy = {'open_clip', 'transformers', 'timm', 'lancedb', 'qdrant_client', 'qdrant_edge',"
        " 'tips_model.train', 'tips_model.eval', 'matplotlib', 'indexer', 'search', 'ui'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
