"""What strangers may hand over, and what must come of it: one function for each kind of bytes.

Each takes any bytes and returns, or raises an AssertionError or something that nobody expects. What
is expected for bad input, the sentence for users, is caught here. The tests feed them from
hypothesis, `bench/fuzz.py` for as long as one likes.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import get_args
from unittest import mock

import numpy as np
import pyarrow as pa
from PIL import Image

from indexer.collection import SETTINGS, Collection
from indexer.edge.manifest import Manifest
from indexer.errors import BackupError, CollectionError, DecodeError, RootError
from indexer.folders.ignore import IgnoreRules
from indexer.folders.paths import to_bytes, to_text
from indexer.folders.snapshot import LINK_SCHEMA, read_snapshot
from indexer.maintenance.archive import read_archive
from indexer.photos.decode import decode_stream, quiet
from indexer.photos.exif import Facts, read_facts, unharmed
from indexer.photos.sidecar import takeout_facts
from indexer.photos.xmp import packet_facts
from indexer.vectors import VectorError
from search.confidence import sample
from search.duplicates import groups as duplicates
from search.duplicates.likeness import SIGNATURE, signature
from search.errors import FilterError, QueryError, QuerySyntaxError
from search.filters import parse_filter
from search.scenes.language import parse
from search.scenes.scene import Scene, things
from tests.indexer.maintenance.backup_cases import forge
from tests.photos import make
from tips_model.checkpoints import load_model
from tips_model.errors import WeightsError
from tips_model.registry import NANO_FOLDER
from tips_model.tensors import read_npz, read_safetensors
from ui.app.question import question
from ui.app.state import Show, View
from ui.formatting import shown, visible
from ui.job_files import JobError, JobFiles
from ui.jobs import find
from ui.registry import RegistryError, known, registry_file

MOST_PIXELS = 4_000_000
"""What a picture may have here: fuzzing is for many small ones."""
Target = Callable[[bytes], None]


@cache
def scratch() -> Path:
    """A folder of this process, in memory where there is such a place; it goes at the end."""
    memory = Path("/dev/shm")
    made = tempfile.mkdtemp(prefix="tips-fuzz-", dir=memory if memory.is_dir() else None)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def picture(data: bytes) -> None:
    """A photo decodes to what it says, or is refused."""
    _decode(data, "")


def raw_picture(data: bytes) -> None:
    """The same for a file whose name says that a camera's raw data is in it."""
    _decode(data, "nef")


def _decode(data: bytes, hint: str) -> None:
    try:
        with quiet():
            photo = decode_stream(BytesIO(data), hint=hint, max_pixels=MOST_PIXELS, target=64)
    except DecodeError as error:
        _check_sentence(error.reason)
        _check_short(error.reason)
        return
    assert photo.image.mode == "RGB"
    assert 0 < photo.width * photo.height <= MOST_PIXELS
    with Image.open(BytesIO(photo.thumbnail), formats=("WEBP",)) as thumbnail:
        assert max(thumbnail.size) <= 320
    _check_facts(photo.facts)


def _check_sentence(said: str) -> None:
    assert said.strip()
    assert len(said) < 30_000
    visible(said).replace("\n", "").encode()


def _check_short(reason: str) -> None:
    assert reason.isprintable(), reason
    assert len(reason) < 300


def _check_spot(error: QuerySyntaxError) -> None:
    start, end = error.spot
    assert 0 <= start < end <= len(error.text) + 1, (error.text, error.spot)
    assert len(error.marked().split("\n")) == 2


def exif(data: bytes) -> None:
    """Any EXIF block gives facts in their ranges."""
    block = Image.Exif()

    def read() -> Image.Exif:
        block.load(data)
        return block

    with quiet():
        _check_facts(read_facts(unharmed(read, Image.Exif)))


def sidecar(data: bytes) -> None:
    """Any bytes beside a photo give facts in their ranges, or are refused."""
    for read in (packet_facts, takeout_facts):
        with suppress(ValueError):
            _check_facts(read(data))


def _check_facts(facts: Facts) -> None:
    for name in ("camera", "lens"):
        text = getattr(facts, name)
        assert text is None or (text and text.isprintable() and len(text) <= 210), repr(text)
        if text:
            text.encode()
    latitude, longitude = facts.latitude, facts.longitude
    assert (latitude is None) == (longitude is None)
    if latitude is not None:
        assert abs(latitude) <= 90
        assert abs(longitude) <= 180
    for name in ("f_number", "exposure", "focal_length"):
        number = getattr(facts, name)
        assert number is None or (isinstance(number, float) and 0 < number <= 1e6)
    iso = facts.iso  # type: ignore[attr-defined]
    assert iso is None or 1 <= iso <= 10_000_000
    assert facts.orientation in range(1, 9)  # type: ignore[attr-defined]


def thumbnail(data: bytes) -> None:
    """A thumbnail of a stranger's catalog has a signature, or none can be made."""
    found = signature(data)
    assert found is None or found.shape == (SIGNATURE,)


def query(data: bytes) -> None:
    """Any text is a query, or is refused with a spot inside it."""
    text = data.decode("utf-8", "surrogateescape")
    for places in (False, True):
        try:
            found = parse(text, places=places)
        except QuerySyntaxError as error:
            _check_spot(error)
        except QueryError as error:
            _check_sentence(str(error))
        else:
            str(found).encode()


def page_query(data: bytes) -> None:
    """No text that is asked on a page makes a file of the machine a part of the question."""
    text = data.decode("utf-8", "replace")
    for show in get_args(Show):
        view = View(q=text, show=show)
        try:
            asked = question(view, None)
        except QueryError as error:
            _check_sentence(str(error))
            continue
        parts = things(asked.clause) if isinstance(asked, Scene) else ()
        queries = [thing.query for thing in parts] if parts else [asked]
        assert not any(isinstance(term.source, Path) for each in queries for term in each.images)


def filter_text(data: bytes) -> None:
    """Any text is a filter, or is refused."""
    try:
        parse_filter(data.decode("utf-8", "surrogateescape"))
    except FilterError as error:
        _check_sentence(str(error))


def collection(data: bytes) -> None:
    """Any `collection.json` is one, or is refused; one that is opened has the types it promises."""
    folder = scratch() / "collection"
    folder.mkdir(exist_ok=True)
    (folder / SETTINGS).write_bytes(data)
    try:
        opened = Collection.open(folder)
    except CollectionError as error:
        _check_sentence(str(error))
        return
    model = opened.model
    texts = [model.name, model.model_id, model.retrieval_head, model.note, *model.heads]
    texts += [*opened.roots, *opened.engine.keys()]
    assert all(type(text) is str for text in texts)
    assert all(type(value) is int or type(value) is str for value in opened.engine.values())
    assert opened.id is None or re.fullmatch("[0-9a-f]{32}", opened.id)
    assert model.weights is None or type(model.weights) is str
    numbers = [model.dim, model.patch, model.image_size, opened.max_regions, opened.tiles]
    assert all(type(number) is int and number > 0 for number in numbers)
    assert model.retrieval_head in model.heads


def backup(data: bytes) -> None:
    """Any tar in a backup is one, or is refused; its files lie in a collection's folders."""
    file = scratch() / "backup.tar.zst"
    file.write_bytes(pa.compress(data, "zstd", asbytes=True))
    names: list[str] = []
    try:
        _, entries = read_archive(file, lambda name, pieces: names.append(name))
    except BackupError as error:
        _check_sentence(str(error))
    else:
        assert names == [*entries]
    for name in names:
        assert name == "collection.json" or name.startswith(("catalog/", "vectors/"))
        assert ".." not in name.split("/")
    assert len(names) == len(set(names))


def manifest(data: bytes) -> None:
    """Any `manifest.json` is one, or is refused; its shards lie in their folder."""
    try:
        read = Manifest.from_json(data.decode("utf-8", "replace"))
    except VectorError as error:
        _check_sentence(str(error))
        return
    for shard in read.shards:
        assert type(shard.name) is str
        assert Path(shard.name).name == shard.name
        assert shard.name not in ("", ".", "..")
        assert 0 <= shard.dead_share <= 1
        assert shard.live_points >= 0
    assert Manifest.from_json(read.to_json()) == read


def snapshot(data: bytes) -> None:
    """Any `links.arrow` is read, or does as if it were not there."""
    folder = scratch() / "catalog"
    folder.mkdir(exist_ok=True)
    (folder / "links.arrow").write_bytes(data)
    found = read_snapshot(folder)
    assert found is None or found.schema == LINK_SCHEMA


def registry(data: bytes) -> None:
    """Any list of collections is read, or refused."""
    with _data_home():
        registry_file().parent.mkdir(parents=True, exist_ok=True)
        registry_file().write_bytes(data)
        try:
            entries = known()
        except RegistryError as error:
            _check_sentence(str(error))
            return
        for entry in entries:
            entry.path  # noqa: B018


def job(data: bytes) -> None:
    """Any files of a job are read, or refused; both of them hold the same bytes here."""
    with _data_home():
        files = JobFiles.of(scratch() / "job")
        files.make()
        files.asked.write_bytes(data)
        files.progress.write_bytes(data)
        try:
            find(scratch() / "job")
        except JobError as error:
            _check_sentence(str(error))


@contextmanager
def _data_home() -> Iterator[None]:
    with mock.patch.dict(os.environ, {"XDG_DATA_HOME": str(scratch() / "data")}):
        yield


def ignore_file(data: bytes) -> None:
    """Any ignore file is rules, or is refused."""
    lines = data.decode("utf-8", "replace").splitlines()
    try:
        rules = IgnoreRules.parse(b"/photos", lines, None, "/photos/.tipsignore")
    except RootError as error:
        _check_sentence(str(error))
        return
    assert rules.ignores(b"/photos/a/b.jpg", False) in (True, False)


def npz(data: bytes) -> None:
    """Any npz file is arrays, or is refused; nothing in it is run."""
    file = scratch() / "x_vision.npz"
    file.write_bytes(data)
    try:
        read_npz(file)
    except WeightsError as error:
        _check_sentence(str(error))
    # What search keeps beside a collection can be made again, so a damaged file is no file.
    sample._read(file, 8)
    duplicates._read(file)


def safetensors(data: bytes) -> None:
    """Any safetensors file is tensors, or is refused."""
    file = scratch() / "model.safetensors"
    file.write_bytes(data)
    try:
        read_safetensors(file)
    except WeightsError as error:
        _check_sentence(str(error))


def model_config(data: bytes) -> None:
    """A model's folder with any `config.json` is refused unless it fits the weights."""
    folder = _model_folder()
    (folder / "config.json").write_bytes(data)
    try:
        load_model(folder)
    except WeightsError as error:
        _check_sentence(str(error))


def tokenizer(data: bytes) -> None:
    """Any tokenizer is refused, or encodes texts."""
    from tips_model.tokenizer import TextError, Tokenizer

    try:
        Tokenizer(data)(["a red umbrella"])
    except (WeightsError, TextError) as error:
        _check_sentence(str(error))


@cache
def _model_folder() -> Path:
    folder = scratch() / "model"
    folder.mkdir()
    for file in ("model.safetensors", "tokenizer.model"):
        (folder / file).write_bytes((NANO_FOLDER / file).read_bytes())
    return folder


def name(data: bytes) -> None:
    """Any file name has one text, and is shown without anything that a terminal obeys."""
    text = to_text(data)
    assert to_bytes(text) == data
    assert shown(text).isprintable()


def _npz_seed() -> bytes:
    out = BytesIO()
    np.savez(out, a=np.arange(6, dtype=np.float32).reshape(2, 3), b=np.array("key"))
    return out.getvalue()


def _collection_seed() -> bytes:
    model = {
        "name": "nano",
        "weights": None,
        "model_id": "nano:0",
        "dim": 4,
        "heads": ["web", "caption"],
        "retrieval_head": "web",
        "patch": 8,
        "image_size": 32,
        "note": "",
    }
    return json.dumps(
        {
            "schema": 1,
            "model": model,
            "regions": {"max_regions": 16, "tiles": 1},
            "roots": ["/photos"],
            "engine": {"kind": "embedded"},
            "id": "0" * 32,
        }
    ).encode()


def _backup_seed() -> bytes:
    members = [("collection.json", b"{}"), ("catalog/a", b"x" * 50)]
    file = forge(scratch() / "seed.tar.zst", members)  # type: ignore[arg-type]
    with pa.CompressedInputStream(str(file), "zstd") as stream:
        return bytes(stream.read())


def _manifest_seed() -> bytes:
    from indexer.edge.manifest import ShardEntry

    shard = ShardEntry(
        name="shard-1", kind="images", points=3, images=3, dead=frozenset(["a" * 32])
    )
    made = Manifest(revision=0, model_id="nano:0", heads=("web",), dim=4, shards=(shard,))
    return made.to_json().encode()


def _snapshot_seed() -> bytes:
    import polars as pl

    out = BytesIO()
    row = ["/p/a.jpg", "/p", 1, 2, 3, 0, "0" * 32, "ok"]
    pl.DataFrame([row], schema=LINK_SCHEMA, orient="row").write_ipc(out)
    return out.getvalue()


def _safetensors_seed() -> bytes:
    header = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    return len(header).to_bytes(8, "little") + header + bytes(8)


QUERIES = (
    "dog left of car",
    ">=3 apples and not (cat inside box)",
    '2:red + mug - "top hat" above TINY table',
    "exactly two dogs top left, but not a cat next to HUGE tree",
)
FILTERS = (
    'camera:canon date:2021-05 in:"Trip to Rome" near:48.1,11.5,20km',
    "type:jpeg|png -has:gps | within:48,11,48.5,12 width:2000..",
)
JOB = (
    b'{"folder": "/p", "command": "index", "arguments": [], "intent": "run", "pid": 1, '
    b'"started": 1.0, "stage": "index", "done": 1, "total": 2, "end": "done", "report": {}}'
)
KNOWN = b'{"schema": 1, "collections": [{"name": "a", "title": "A", "folder": "/a"}]}'

_XMP = (
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF "
    b"xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description "
    b"xmlns:exif='http://ns.adobe.com/exif/1.0/' exif:GPSLatitude='48,8.22N' "
    b"exif:GPSLongitude='11,30.5E' exif:DateTimeOriginal='2021-05-06T07:08:09'/>"
    b"</rdf:RDF></x:xmpmeta>"
)
_TAKEOUT = (
    b'{"photoTakenTime": {"timestamp": "1620302400"}, "geoData": {"latitude": 48.1, '
    b'"longitude": -11.5}, "description": "lake", "people": [{"name": "Anna"}]}'
)

TARGETS: dict[str, tuple[Target, Callable[[], list[bytes]]]] = {
    "picture": (picture, lambda: [d for d in make.pictures().values() if len(d) < 200_000]),
    "raw": (raw_picture, lambda: [d for n, d in make.pictures().items() if "." in n][:12]),
    "sidecar": (sidecar, lambda: [_XMP, _TAKEOUT]),
    "exif": (exif, lambda: [make.exif(6).tobytes()]),
    "thumbnail": (thumbnail, lambda: [make.encode(make.scene(), "WEBP")]),
    "query": (query, lambda: [text.encode() for text in QUERIES]),
    "page": (page_query, lambda: [b"2:/etc/a.jpg", *(text.encode() for text in QUERIES)]),
    "filter": (filter_text, lambda: [text.encode() for text in FILTERS]),
    "collection": (collection, lambda: [_collection_seed()]),
    "backup": (backup, lambda: [_backup_seed()]),
    "manifest": (manifest, lambda: [_manifest_seed()]),
    "snapshot": (snapshot, lambda: [_snapshot_seed()]),
    "registry": (registry, lambda: [KNOWN]),
    "job": (job, lambda: [JOB]),
    "ignore": (ignore_file, lambda: [b"*.tmp\n!keep/[a-z]*.jpg\n/**/x/\n"]),
    "npz": (npz, lambda: [_npz_seed()]),
    "safetensors": (safetensors, lambda: [_safetensors_seed()]),
    "config": (model_config, lambda: [(NANO_FOLDER / "config.json").read_bytes()]),
    "tokenizer": (tokenizer, lambda: [(NANO_FOLDER / "tokenizer.model").read_bytes()]),
    "name": (name, lambda: ["schön.jpg".encode(), b"bad-\xff.png", b"\x1b[31m.jpg"]),
}
"""Name -> the function, and what to begin with."""
