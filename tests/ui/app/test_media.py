"""The routes beside the page: pictures of open collections, and nothing else."""

from __future__ import annotations

import gc
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from search.export.files import ZipFormat
from search.export.formats import CsvFormat, encoded
from ui.app import media
from ui.app.library import Library
from ui.app.page_results import answer, every_hit
from ui.app.state import View


@pytest.fixture(scope="module")
def client() -> TestClient:
    """A client of the routes."""
    return TestClient(Starlette(routes=list(media.routes())))


@pytest.fixture
def library(collection: Path) -> Library:
    """The shared collection, served."""
    opened = Library(collection)
    media.serve(opened)
    return opened


def test_pictures_are_served_for_ever_and_as_what_they_are(
    client: TestClient, library: Library
) -> None:
    hit = answer(library, View()).hits[0]
    for address, kind in (
        (media.thumbnail_address(library, hit.id), "image/webp"),
        (media.photo_address(library, hit.id), "image/jpeg"),
    ):
        response = client.get(address)
        assert response.status_code == 200
        assert response.headers["content-type"] == kind
        assert "immutable" in response.headers["cache-control"]
        assert "private" in response.headers["cache-control"]
        assert response.headers["x-content-type-options"] == "nosniff"
        picture = Image.open(io.BytesIO(response.content))
        assert picture.width / picture.height == pytest.approx(hit.width / hit.height, rel=0.02)


@pytest.mark.parametrize("name", ["0" * 32, "x", "..%2F..%2Fetc%2Fpasswd", "%2e%2e", "a" * 5000])
def test_what_is_no_photo_of_the_collection_is_not_served(
    client: TestClient, library: Library, name: str
) -> None:
    for route in ("thumb", "photo"):
        assert client.get(f"{route}/{library.token}/{name}").status_code == 404


def test_a_photo_is_served_to_those_who_have_the_page(client: TestClient, library: Library) -> None:
    hit = answer(library, View()).hits[0]
    assert client.get(f"thumb/wrong/{hit.id}").status_code == 404
    assert client.get(f"thumb/{library.token[:-1]}/{hit.id}").status_code == 404
    assert len(library.token) >= 20


def test_a_closed_collection_is_not_served(client: TestClient, collection: Path) -> None:
    opened = Library(collection)
    media.serve(opened)
    hit = answer(opened, View()).hits[0]
    address = media.thumbnail_address(opened, hit.id)
    assert client.get(address).status_code == 200
    del opened
    gc.collect()
    assert client.get(address).status_code == 404


def test_an_export_comes_as_a_file_with_its_name(client: TestClient, library: Library) -> None:
    rows = answer(library, View()).rows

    def table() -> Iterator[bytes]:
        return encoded(CsvFormat(), every_hit(library, View(), None, rows))

    address = media.offer(media.Download("photos é.csv", "text/csv", table))
    response = client.get(address)
    assert response.status_code == 200
    assert response.headers["content-disposition"].startswith("attachment; filename*=UTF-8''photos")
    assert response.headers["cache-control"] == "no-store"
    assert len(response.text.splitlines()) == 31
    assert client.get("export/unknown/photos.csv").status_code == 404


def test_a_zip_of_copies_is_streamed(client: TestClient, library: Library) -> None:
    rows = answer(library, View()).rows[:3]

    def copies() -> Iterator[bytes]:
        return encoded(ZipFormat(), every_hit(library, View(), None, rows))

    response = client.get(media.offer(media.Download("photos.zip", "application/zip", copies)))
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 3
        originals = [Path(hit.path).read_bytes() for hit in every_hit(library, View(), None, rows)]
        assert [archive.read(name) for name in archive.namelist()] == originals
    assert json.dumps(response.headers["content-type"]) == '"application/zip"'
