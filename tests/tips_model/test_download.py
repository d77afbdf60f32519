"""Against a real HTTP server on the loopback address."""

import base64
import errno
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tips_model import registry
from tips_model.download import LOCK, MANIFEST, DownloadError, RemoteFile, download
from tips_model.errors import ModelNameError, WeightsError

CONTENT = bytes(range(256)) * 4096


class Server(ThreadingHTTPServer):
    """Serves `files`; stops after `cut` bytes of a body if that is set."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {}
        self.requests = []
        self.cut = None
        self.md5 = None
        self.etag = '"one"'

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get("Range")))
        content = server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = 0
        wanted = self.headers.get("Range")
        if wanted and self.headers.get("If-Range") == server.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", server.etag)
        md5 = server.md5 or hashlib.md5(content).digest()
        self.send_header("x-goog-hash", "crc32c=AAAAAA==")
        self.send_header("x-goog-hash", f"md5={base64.b64encode(md5).decode()}")
        self.end_headers()
        self.wfile.write(content[start : server.cut])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def file(server):
    server.files["/x.npz"] = CONTENT
    return RemoteFile("x.npz", f"{server.url}/x.npz")


def test_file_comes_whole_with_progress_and_a_record(file, tmp_path):
    calls = []
    path = download(file, tmp_path / "models", lambda *call: calls.append(call))
    assert path.read_bytes() == CONTENT
    assert calls[-1] == ("x.npz", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)
    record = json.loads((tmp_path / "models" / MANIFEST).read_text())["x.npz"]
    assert record["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert record["size"] == len(CONTENT)
    assert {p.name for p in path.parent.iterdir()} == {"x.npz", MANIFEST, LOCK}


def test_a_folder_that_cannot_be_is_said(file, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(DownloadError, match=r"cannot be written to .*TIPS_CACHE"):
        download(file, tmp_path / "taken" / "cache")


def test_an_address_that_is_none_is_said(tmp_path):
    with pytest.raises(DownloadError, match=r"foo/x\.npz is not a valid address .*TIPS_MIRROR"):
        download(RemoteFile("x.npz", "foo/x.npz"), tmp_path)


def test_a_full_disk_is_not_blamed_on_the_connection(file, tmp_path):
    def full(*progress):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DownloadError, match=r"cannot be written to .*No space left on device"):
        download(file, tmp_path, full)


def test_two_downloads_of_a_file_take_turns(file, server, tmp_path):
    threads = [threading.Thread(target=download, args=(file, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "x.npz").read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_present_file_is_not_fetched_again(file, server, tmp_path):
    download(file, tmp_path)
    download(file, tmp_path)
    assert len(server.requests) == 1


def test_interrupted_download_goes_on_where_it_stopped(file, server, tmp_path):
    server.cut = 300_000
    with pytest.raises(DownloadError, match="connection closed after 300000 of"):
        download(file, tmp_path)
    assert not (tmp_path / "x.npz").exists()
    server.cut = None
    assert download(file, tmp_path).read_bytes() == CONTENT
    assert server.requests[1] == ("/x.npz", "bytes=300000-")


def test_changed_file_is_fetched_from_the_start(file, server, tmp_path):
    server.cut = 300_000
    with pytest.raises(DownloadError):
        download(file, tmp_path)
    server.cut, server.etag = None, '"two"'
    server.files["/x.npz"] = other = CONTENT[::-1]
    assert download(file, tmp_path).read_bytes() == other


def test_download_that_only_missed_its_renaming_is_finished(file, server, tmp_path):
    (tmp_path / "x.npz.part").write_bytes(CONTENT)
    (tmp_path / "x.npz.part.etag").write_text(server.etag)
    assert download(file, tmp_path).read_bytes() == CONTENT


def test_wrong_md5_is_refused_and_removed(file, server, tmp_path):
    server.md5 = b"\0" * 16
    with pytest.raises(DownloadError, match="does not have the md5"):
        download(file, tmp_path)
    assert list(tmp_path.glob("x.npz*")) in ([], [tmp_path / "x.npz.part.etag"])


def test_another_content_than_the_first_time_is_refused(file, server, tmp_path):
    download(file, tmp_path).unlink()
    server.files["/x.npz"] = CONTENT[::-1]
    with pytest.raises(DownloadError, match="not the file that was downloaded before"):
        download(file, tmp_path)
    assert not (tmp_path / "x.npz").exists()


def test_file_of_a_wrong_size_is_fetched_again(file, server, tmp_path):
    path = download(file, tmp_path)
    path.write_bytes(CONTENT[:100])
    assert download(file, tmp_path).read_bytes() == CONTENT


def test_missing_file_says_what_the_server_said(server, tmp_path):
    with pytest.raises(DownloadError, match="the server answered 404"):
        download(RemoteFile("y.npz", f"{server.url}/y.npz"), tmp_path)


def test_fetch_brings_both_towers_and_the_tokenizer(server, monkeypatch, tmp_path):
    monkeypatch.setenv("TIPS_CACHE", str(tmp_path))
    monkeypatch.setenv("TIPS_MIRROR", server.url)
    names = ("tips_v2_oss_b14_vision.npz", "tips_v2_oss_b14_text.npz", "tokenizer.model")
    stem = "/v2_0/checkpoints/pytorch/tips_v2_oss_b14"
    for path in (f"{stem}_vision.npz", f"{stem}_text.npz", "/v1_0/checkpoints/tokenizer.model"):
        server.files[path] = path.encode()
    assert registry.cached_folder("tipsv2-b14") is None
    folder = registry.fetch("tipsv2-b14")
    assert folder == registry.cached_folder("tipsv2-b14") == tmp_path / "tipsv2-b14"
    assert {p.name for p in folder.iterdir()} == {*names, MANIFEST, LOCK}
    here = {model.name: model.here for model in registry.list_models()}
    assert here["tipsv2-b14"]
    assert here["nano"]
    assert not here["tipsv2-l14"]


def test_offline_fetch_is_one_sentence_with_the_ways_on(server, monkeypatch, tmp_path):
    monkeypatch.setenv("TIPS_CACHE", str(tmp_path))
    monkeypatch.setenv("TIPS_MIRROR", "http://127.0.0.1:1")
    with pytest.raises(WeightsError) as caught:
        registry.fetch("tipsv2-b14")
    message = str(caught.value)
    assert "tips_v2_oss_b14_vision.npz from http://127.0.0.1:1/v2_0" in message
    assert "--model nano" in message
    assert "--weights DIR" in message
    assert "\n" not in message


def test_every_official_model_has_its_addresses():
    urls = [file.url for model in registry.list_models() for file in model.files]
    assert len(urls) == 30
    base = "https://storage.googleapis.com/tips_data"
    assert f"{base}/v1_0/checkpoints/pytorch/tips_oss_s14_highres_distilled_text.npz" in urls
    assert f"{base}/v2_0/checkpoints/pytorch/tips_v2_oss_so14_vision.npz" in urls
    with pytest.raises(ModelNameError, match="no official files for 'nano'"):
        registry.fetch("nano")
