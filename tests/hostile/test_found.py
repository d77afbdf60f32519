"""What mutated input has found, and what was found on the way: once, and not again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.collection import SETTINGS, Collection
from indexer.edge.manifest import Manifest
from indexer.errors import CollectionError, DecodeError
from indexer.folders.ignore import IgnoreRules
from indexer.folders.snapshot import read_snapshot
from indexer.photos import decode
from indexer.photos.decode import decode_stream
from indexer.photos.decoder_pool import decode_file
from indexer.photos.limits import Limits
from indexer.vectors import VectorError
from search.duplicates.likeness import signature
from search.errors import FilterError, QueryError, QuerySyntaxError
from search.filters import parse_filter
from search.scenes.language import parse
from tests.hostile import targets
from tests.photos import make
from tips_model.checkpoints import load_model
from tips_model.errors import WeightsError
from tips_model.untrusted import parse_json, read_arrays
from ui.formatting import visible

DEEP = b"[" * 100_000


def test_an_ignore_file_of_stars_does_not_stop_the_scan() -> None:
    for pattern in ("*a" * 20 + "b", "*" * 93 + "q", "**/" * 30 + "x", "?*" * 30 + "q"):
        rules = IgnoreRules.parse(b"/p", [pattern], None, ".tipsignore")
        assert not rules.ignores(b"/p/" + b"a" * 200 + b".jpg", False)


def test_deep_json_is_refused_everywhere(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nested too deep"):
        parse_json(DEEP)
    for target in (targets.collection, targets.manifest, targets.registry, targets.job):
        target(DEEP)
    targets.model_config(DEEP)
    (tmp_path / SETTINGS).write_bytes(DEEP)
    with pytest.raises(CollectionError, match=r"collection\.json cannot be read"):
        Collection.open(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dim", "4"),
        ("dim", 0),
        ("dim", float("inf")),
        ("heads", "web"),
        ("heads", []),
        ("retrieval_head", "other"),
        ("weights", ["x"]),
        ("model_id", "\ud800"),
    ],
)
def test_settings_of_a_wrong_type_are_named(tmp_path: Path, field: str, value: object) -> None:
    (seed,) = targets.TARGETS["collection"][1]()
    settings = json.loads(seed)
    settings["model"][field] = value
    (tmp_path / SETTINGS).write_text(json.dumps(settings))
    with pytest.raises(CollectionError, match=f"model.{field if field != 'dim' else 'dim'}"):
        Collection.open(tmp_path)


@pytest.mark.parametrize("name", ["../../photos", "/etc", "..", "", "a/b", "a\0b"])
def test_a_shard_lies_beside_its_manifest(name: str) -> None:
    (seed,) = targets.TARGETS["manifest"][1]()
    stored = json.loads(seed)
    stored["shards"][0]["name"] = name
    with pytest.raises(VectorError, match="manifest of the vector store is damaged"):
        Manifest.from_json(json.dumps(stored))


@pytest.mark.parametrize("change", [{"images": 0}, {"kind": "x"}, {"dead": 3}, {"points": -1}])
def test_a_manifest_with_a_wrong_shard_is_damaged(change: dict[str, object]) -> None:
    (seed,) = targets.TARGETS["manifest"][1]()
    stored = json.loads(seed)
    stored["shards"][0] |= change
    with pytest.raises(VectorError, match="manifest of the vector store is damaged"):
        Manifest.from_json(json.dumps(stored))


CRASHES_POLARS = Path(__file__).with_name("crashes-polars.arrow").read_bytes()


@pytest.mark.parametrize("content", [b"", b"ARROW1", b"\0" * 500, CRASHES_POLARS])
def test_damaged_links_are_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "links.arrow").write_bytes(content)
    assert read_snapshot(tmp_path) is None


def test_arrays_that_claim_the_memory_of_the_world_are_refused(tmp_path: Path) -> None:
    out = BytesIO()
    np.savez_compressed(out, a=np.zeros(50_000_000, np.uint8))
    bomb = tmp_path / "bomb.npz"
    bomb.write_bytes(out.getvalue())
    assert bomb.stat().st_size < 100_000
    with pytest.raises(ValueError, match="it holds 50,000,"):
        read_arrays(bomb)
    huge = BytesIO()
    np.savez(huge, a=np.zeros(2, np.uint8))
    (tmp_path / "lie.npz").write_bytes(huge.getvalue().replace(b"(2,)", b"(9" + b"9" * 15 + b",)"))
    with pytest.raises(ValueError, match=r"."):
        read_arrays(tmp_path / "lie.npz")


@pytest.mark.parametrize(
    "change", [{"heads": 0}, {"depth": 10**9}, {"width": 1.5}, {"grid": "a"}, {"ffn": "x"}]
)
def test_a_model_that_cannot_be_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    (seed,) = targets.TARGETS["config"][1]()
    stated = json.loads(seed)
    stated["model"]["vision"] |= change
    (tmp_path / "config.json").write_text(json.dumps(stated))
    with pytest.raises(WeightsError, match=r"config\.json describes no model"):
        load_model(tmp_path)


def test_a_thumbnail_is_a_webp_and_small() -> None:
    assert signature(make.encode(make.scene(), "WEBP")) is not None
    assert signature(make.encode(make.scene(), "PNG")) is None
    assert signature(b"%!PS\nshowpage") is None
    assert signature(make.encode(Image.new("L", (4000, 10)), "WEBP")) is None


def test_long_and_deep_queries_are_refused_at_once() -> None:
    began = time.process_time()
    with pytest.raises(QueryError, match="12,015 characters, and at most 2,000"):
        parse("not " * 3000 + "dog left of cat")
    with pytest.raises(QuerySyntaxError, match="nested too deep"):
        parse("not " * 400 + "dog left of cat")
    with pytest.raises(QueryError, match="100 things, and at most 24"):
        parse("dog left of " * 99 + "cat")
    with pytest.raises(QueryError, match="no picture file"):
        parse("/" + "a" * 1500)
    with pytest.raises(FilterError, match="at most 10,000"):
        parse_filter("type:" + "a|" * 20_000)
    with pytest.raises(FilterError, match="not a number or a range"):
        parse_filter("width:" + "9" * 5000)
    parse_filter("camera:" + "a|" * 4990 + "a")
    assert time.process_time() - began < 20


def test_bars_in_quotes_are_part_of_a_value() -> None:
    one = parse_filter('camera:"a|b"|c')
    assert one is not None
    assert getattr(one, "values", None) == ("a|b", "c")


def test_a_reason_obeys_no_file() -> None:
    data = make.encode(make.scene(), "TIFF")
    for start in range(8, len(data), 7):
        broken = data[:start] + b"\x1b[31m\x07" + data[start + 6 :]
        try:
            decode_stream(BytesIO(broken))
        except DecodeError as error:
            targets._check_short(error.reason)


def test_what_a_terminal_obeys_is_escaped() -> None:
    said = "a\x1b[31mred\x07\x9b\r\u202eabc\nnext line"
    assert visible(said) == "a\\x1b[31mred\\x07\\x9b\\r\\u202eabc\nnext line"


@pytest.mark.parametrize("number", ["9" * 1900, "0." + "9" * 1900, "1e" + "9" * 1900])
def test_long_numbers_are_words_or_marked(number: str) -> None:
    assert parse(f"dog:{number}")
    for text in (">={} apples", "exactly {} dogs left of a cat"):
        with pytest.raises(QuerySyntaxError, match="cannot be read at character"):
            parse(text.format("9" * 1900))
    with pytest.raises(FilterError):
        parse_filter("near:" + "9" * 1900 + ",2,3km")
    with pytest.raises(ValueError, match="4300 digits"):
        parse_json("9" * 5000)


def test_a_link_to_a_named_pipe_is_one_photo_that_failed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "link.jpg").symlink_to(tmp_path / "pipe")
    with pytest.raises(DecodeError, match="not a file"):
        decode_file(os.fsencode(tmp_path / "photos" / "link.jpg"), limits=Limits(seconds=5))


@pytest.mark.parametrize("progressive", [False, True])
def test_large_progressive_jpegs_are_decoded_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch, progressive: bool
) -> None:
    monkeypatch.setattr(decode, "_LARGE", 9_999)
    picture = BytesIO()
    Image.new("RGB", (100, 100), "red").save(picture, "JPEG", progressive=progressive)
    picture.seek(0)
    held: list[bool] = []

    @contextmanager
    def one_large() -> Iterator[None]:
        held.append(True)
        yield

    photo = decode_stream(picture, one_large=one_large())
    assert photo.image.getpixel((50, 50)) == (254, 0, 0)
    assert held == [True] * progressive
