"""Photos that crash their decoder, eat its memory or never end: one row each, and the run goes
on."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from indexer.collection import Collection
from indexer.errors import DecodeError, DecoderError
from indexer.options import IndexOptions
from indexer.photos import decoder_pool
from indexer.photos.decode import Photo, decode
from indexer.photos.decoder_pool import Decoders, decode_file, decode_untrusted
from indexer.photos.decoder_process import DecodeProcess
from indexer.photos.limits import Limits
from indexer.pipeline import index
from tests.indexer.colours import ColourEmbedder
from tests.indexer.photos import faulty_worker
from tests.indexer.photos.faulty_worker import attempts, content
from tests.photos import make

ROOT = Path(__file__).parents[3]
PICTURES = make.pictures()


@pytest.fixture
def faulty() -> Iterator[Decoders]:
    """Two processes whose decoder has every defect."""
    pool = Decoders(2, partial(DecodeProcess, faulty_worker.MODULE))
    yield pool
    pool.close()


def same(a: Photo, b: Photo) -> bool:
    """Whether two photos are equal to the last pixel."""
    pixels = a.image.tobytes() == b.image.tobytes() and a.image.size == b.image.size
    rest = [(p.width, p.height, p.format, p.facts, p.thumbnail) for p in (a, b)]
    return pixels and rest[0] == rest[1]


def test_another_process_decodes_to_the_same_photos(tmp_path: Path) -> None:
    make.write(tmp_path)
    for path in sorted(tmp_path.rglob("*.*")):
        name = os.fsencode(path)
        try:
            here = decode(name, target=100)
        except DecodeError as error:
            with pytest.raises(DecodeError, match=f"^{re.escape(error.reason)}$"):
                decode_file(name, target=100)
        else:
            assert same(decode_file(name, target=100), here)


def test_bytes_and_files_that_are_gone(tmp_path: Path) -> None:
    data = PICTURES["plain.jpg"]
    (tmp_path / "a.jpg").write_bytes(data)
    assert same(decode_untrusted(data), decode(os.fsencode(tmp_path / "a.jpg")))
    with pytest.raises(DecodeError, match="not a picture in a known format"):
        decode_untrusted(b"no picture")
    with pytest.raises(DecodeError, match="the file is gone"):
        decode_file(os.fsencode(tmp_path / "b.jpg"))


REASONS = {
    "crash": "the decoder crashed (signal 11)",
    "killed": "the decoder was killed (signal 9), as when memory runs out",
    "exit": "the decoder gave up (exit code 3)",
    "eat": "it needs more memory than allowed",
    "lie": "the decoder failed on it",
}


@pytest.mark.parametrize("fault", REASONS)
def test_what_a_process_dies_of_is_said_after_a_second_try(
    faulty: Decoders, fault: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with pytest.raises(DecodeError) as caught:
        faulty.decode(content(fault, log), limits=Limits(memory=150_000_000))
    assert caught.value.reason == REASONS[fault]
    first, second = attempts(log)
    assert first != second
    assert same(faulty.decode(PICTURES["plain.jpg"]), decode_untrusted(PICTURES["plain.jpg"]))


def test_a_photo_that_never_ends_is_given_up_at_once(faulty: Decoders, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(DecodeError, match=r"^decoding it took longer than 0\.5 s$"):
        faulty.decode(content("hang", log), limits=Limits(seconds=0.5))
    (process,) = attempts(log)
    assert not alive(process)


def test_a_photo_that_was_not_at_fault_is_read(faulty: Decoders, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert faulty.decode(content("crash-once", log)).format == "png"
    assert len(attempts(log)) == 2


def test_a_mistake_of_ours_is_no_failure_of_the_photo(faulty: Decoders, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="LookupError: a mistake of ours"):
        faulty.decode(content("defect", tmp_path / "log"))


def test_others_are_not_blamed(faulty: Decoders, tmp_path: Path) -> None:
    good = [make.encode(make.scene(4), "PNG") + bytes([n]) for n in range(30)]
    bad = [content("crash", tmp_path / f"log-{n}", n) for n in range(3)]
    mixed = [*good[:10], bad[0], *good[10:12], bad[1], bad[2], *good[12:]]

    def attempt(data: bytes) -> str:
        try:
            return faulty.decode(data).format
        except DecodeError as error:
            return error.reason

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(attempt, mixed))
    expected = [REASONS["crash"] if data in bad else "png" for data in mixed]
    assert results == expected


def test_large_pictures_are_decoded_one_at_a_time(tmp_path: Path) -> None:
    huge = make.encode(Image.new("L", (8000, 5100)), "PNG")
    held = threading.Event()

    class Watched:
        def __init__(self) -> None:
            self.lock, self.inside, self.most = threading.Lock(), 0, 0

        def __enter__(self) -> None:
            self.lock.acquire()
            self.inside += 1
            self.most = max(self.most, self.inside)
            held.set()

        def __exit__(self, *_: object) -> None:
            self.inside -= 1
            self.lock.release()

    watched = Watched()
    processes = [DecodeProcess(), DecodeProcess()]
    try:
        with ThreadPoolExecutor(2) as pool:
            photos = list(pool.map(lambda p: p.decode(huge, "", 100, Limits(), watched), processes))
        small = processes[0].decode(PICTURES["plain.jpg"], "", 100, Limits(), watched)
    finally:
        for process in processes:
            process.close()
    assert [photo.width for photo in photos] == [8000, 8000]
    assert (small.format, watched.most, held.is_set()) == ("jpeg", 1, True)


def test_the_limit_of_memory_holds_for_real_pictures() -> None:
    large = make.encode(Image.new("RGB", (7000, 7000)), "PNG")  # 147 MB decoded
    with pytest.raises(DecodeError, match="more memory than allowed"):
        decode_untrusted(large, limits=Limits(memory=150_000_000))
    assert decode_untrusted(large).width == 7000


def test_the_limit_of_time_holds_for_real_pictures() -> None:
    bomb = scans_bomb()
    assert len(bomb) < 500_000
    with pytest.raises(DecodeError, match="decoding it took longer than 1 s"):
        decode_untrusted(bomb, limits=Limits(seconds=1.0))


def scans_bomb(side: int = 8000, scans: int = 2000) -> bytes:
    """A progressive JPEG of few bytes that goes over its whole area in each of many scans."""
    image = BytesIO()
    Image.new("L", (side, side), 128).save(image, "JPEG", progressive=True)
    data = image.getvalue()
    # The last scan once more, again and again.
    start = data.rindex(b"\xff\xda")
    return data[:-2] + data[start:-2] * scans + b"\xff\xd9"


def test_large_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="2 MB exceed the limit of 1 MB"):
        decode_untrusted(bytes(2_000_000), limits=Limits(bytes=1_000_000))
    huge = tmp_path / "huge.jpg"
    with open(huge, "wb") as file:
        file.truncate(10**13)
    with pytest.raises(DecodeError, match="10,000,000 MB exceed the limit of 2,000 MB"):
        decode_file(os.fsencode(huge))


def test_a_named_pipe_is_no_photo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(DecodeError, match="not a file"):
        decode_file(os.fsencode(tmp_path / "pipe.jpg"), limits=Limits(seconds=5))


def test_a_process_that_cannot_start_says_why() -> None:
    pool = Decoders(1, partial(DecodeProcess, "indexer.no_such_module"))
    with pytest.raises(DecoderError, match=r"does not start: .*No module named 'indexer.no_such"):
        pool.decode(PICTURES["plain.jpg"])


def test_decoding_needs_neither_torch_nor_the_stores() -> None:
    code = (
        "import sys, indexer.photos.decoder_worker\n"
        "print(sorted({'torch', 'lancedb', 'polars', 'pyarrow', 'rawpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"


def test_the_working_directory_is_not_searched_for_modules(tmp_path: Path) -> None:
    (tmp_path / "PIL").mkdir()
    (tmp_path / "PIL" / "__init__.py").write_text("raise SystemExit('a stranger was run')")
    (tmp_path / "json.py").write_text("raise SystemExit('a stranger was run')")
    code = (
        "import sys\n"
        f"sys.path[:] = [p for p in sys.path if p] + [{str(ROOT)!r}]\n"
        "from indexer.photos.decoder_pool import decode_untrusted\n"
        "print(decode_untrusted(sys.stdin.buffer.read()).format)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        input=PICTURES["plain.jpg"],
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout == b"jpeg\n"


def test_a_forked_child_has_processes_of_its_own() -> None:
    code = (
        "import os, sys\n"
        "from indexer.photos.decoder_pool import decode_untrusted, decoders\n"
        "data, mine = sys.stdin.buffer.read(), decoders()\n"
        "decode_untrusted(data)\n"
        "child = os.fork()\n"
        "other = decoders() is not mine\n"
        "print(decode_untrusted(data).format, other, flush=True)\n"
        "if child:\n"
        "    os.waitpid(child, 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=PICTURES["plain.jpg"],
        capture_output=True,
        check=True,
        cwd=ROOT,
    )
    assert sorted(done.stdout.splitlines()) == [b"jpeg False", b"jpeg True"]


def alive(process: int) -> bool:
    """Whether a process runs; one that has ended and is not buried does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_is_left_when_the_program_is_killed(tmp_path: Path, end: signal.Signals) -> None:
    """Not even one that is in a loop in which no thread of Python runs."""
    pipe = tmp_path / "log"
    os.mkfifo(pipe)
    code = (
        "import sys\n"
        "from functools import partial\n"
        "from indexer.photos.decoder_pool import Decoders\n"
        "from indexer.photos.decoder_process import DecodeProcess\n"
        "from tests.indexer.photos import faulty_worker\n"
        "pool = Decoders(2, partial(DecodeProcess, faulty_worker.MODULE))\n"
        "pool.warm_up(2)\n"
        "pool.decode(sys.stdin.buffer.read())\n"
    )
    program = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, cwd=ROOT)
    assert program.stdin is not None
    program.stdin.write(content("hang-at-pipe", pipe))
    program.stdin.close()
    decoding = int(pipe.read_text())
    children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
    watched = [os.pidfd_open(int(child)) for child in children]
    assert decoding in map(int, children)
    assert len(children) == 2
    program.send_signal(end)
    program.wait()
    for descriptor in watched:
        assert gone(descriptor)


def gone(descriptor: int) -> bool:
    """Whether the process behind a pidfd ends within ten seconds."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    ended = bool(poller.poll(10_000))
    os.close(descriptor)
    return ended


def test_a_run_goes_on_past_photos_that_kill_their_decoder(
    tmp_path: Path, faulty: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder_pool, "_shared", faulty)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(12):
        data = make.encode(make.scene(4), "PNG") + bytes([number])
        (photos / f"{number:02}.png").write_bytes(data)
    for number, fault in enumerate(["crash", "hang", "eat"]):
        (photos / f"{number * 4:02}-{fault}.jpg").write_bytes(content(fault, tmp_path / fault))
    embedder = ColourEmbedder()
    collection = Collection.create(tmp_path / "collection", embedder.info)
    options = IndexOptions(limits=Limits(seconds=5, memory=150_000_000))
    report = index(collection, [photos], embedder, options=options)
    assert (report.embedded, report.failed) == (12, 3)
    rows = collection.catalog().failures().sort("path").iter_rows(named=True)
    assert [row["reason"] for row in rows] == [
        "the decoder crashed (signal 11)",
        "decoding it took longer than 5 s",
        "it needs more memory than allowed",
    ]
    again = index(collection, [], _no_model, options=options)
    assert (again.unchanged, again.failed) == (15, 0)
    assert [len(attempts(tmp_path / fault)) for fault in ("crash", "hang", "eat")] == [2, 1, 2]


def _no_model() -> ColourEmbedder:
    raise AssertionError("no photo that failed is read again")
