"""Pictures, facts and counts over HTTP; a photo is named by its id and by nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from indexer.collection import Collection
from search.searcher import Searcher
from tests.ui.service.conftest import WORDS, problem
from ui.overlays import heat_pixels
from ui.service.client import Client


def test_the_facts_are_those_of_the_catalog(
    client: Client, collection: Path, photo: str, photos: Path
) -> None:
    row = Collection.open(collection).catalog().photos([photo]).to_dicts()[0]
    facts = client.photo(photo)
    assert [file.path for file in facts.files] == [file["path"] for file in row["files"]]
    assert Path(facts.files[0].path).stat().st_size == facts.files[0].size
    assert (facts.width, facts.height) == (row["width"], row["height"])
    assert facts.camera in ("Canon EOS R5", "Fujifilm X100V")
    assert facts.format == "jpeg"


def test_a_thumbnail_is_the_catalogs_and_never_changes(
    http: httpx.Client, collection: Path, photo: str
) -> None:
    address = f"/v1/photos/{photo}/thumbnail"
    first = http.get(address)
    assert first.content == Collection.open(collection).catalog().thumbnails([photo])[photo]
    assert first.headers["content-type"] == "image/webp"
    assert "immutable" in first.headers["cache-control"]
    assert first.headers["x-content-type-options"] == "nosniff"
    again = http.get(address, headers={"If-None-Match": f'W/"x", {first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    other = http.get(address, headers={"If-None-Match": '"another"'})
    assert other.content == first.content


def test_the_large_picture_is_a_jpeg_without_exif(client: Client, photo: str) -> None:
    with Image.open(io.BytesIO(client.picture(photo))) as picture:
        assert picture.format == "JPEG"
        assert not picture.getexif()


def test_a_heat_map_is_the_librarys_as_a_png(
    client: Client, searcher: Searcher, photo: str
) -> None:
    with Image.open(io.BytesIO(client.heatmap(photo, WORDS))) as picture:
        assert picture.format == "PNG"
        shown = np.asarray(picture)
    expected = heat_pixels(searcher.heatmap(photo, WORDS))
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("words", ["", "./x.jpg", "x" * 501])
def test_a_heat_map_needs_words(words: str, http: httpx.Client, photo: str) -> None:
    code = "query" if words == "./x.jpg" else "invalid"
    problem(http.post(f"/v1/photos/{photo}/heatmap", json={"q": words}), 422, code, "q")


@pytest.mark.parametrize("part", ["", "/thumbnail", "/picture"])
def test_an_unknown_photo_is_not_found(part: str, http: httpx.Client) -> None:
    problem(http.get(f"/v1/photos/{'0' * 32}{part}"), 404, "unknown-photo", "photo")


@pytest.mark.parametrize(
    "name",
    [
        "../../../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "/etc/passwd",
        "file:%2f%2f%2fetc%2fpasswd",
        "0" * 31 + "'",
        "' OR id IS NOT NULL --",
        "A" * 32,
        "0" * 33,
        "%00" * 32,
    ],
)
def test_nothing_but_an_id_names_a_photo(name: str, http: httpx.Client) -> None:
    # As it is: the client would tidy up the address.
    target = f"/v1/photos/{name}/thumbnail".replace(" ", "%20").encode()
    response = http.get("/", extensions={"target": target})
    assert response.status_code in (404, 422)
    assert response.headers["content-type"] == "application/problem+json"
    assert "root:" not in response.text


def test_the_status_is_the_collections(client: Client, collection: Path, photos: Path) -> None:
    opened = Collection.open(collection)
    status = client.status()
    assert (status.photos, status.failed, status.images) == (30, 1, 30)
    assert status.model_id == opened.model.model_id
    assert status.roots == [str(photos)]
    assert status.ready
    assert client.collections()[0].name == status.name


def test_facets_count_the_photos_under_a_filter(client: Client, photos: Path) -> None:
    every = client.facets()
    assert every.photos == every.undated == 30
    assert {value.value: value.count for value in every.cameras} == {
        "Canon EOS R5": 15,
        "Fujifilm X100V": 15,
    }
    assert [(value.value, value.count) for value in every.folders] == [(str(photos), 30)]
    rome = client.facets("in:Rome", folder=str(photos))
    assert rome.photos == 10
    assert [(value.value, value.count) for value in rome.folders] == [(str(photos / "Rome"), 10)]


def test_a_filter_that_cannot_be_read_is_said(http: httpx.Client) -> None:
    found = problem(http.get("/v1/facets?filter=near:far"), 422, "filter", "filter")
    assert "near:48.1,11.5,20km" in found["detail"]


def test_an_unknown_collection_is_named(http: httpx.Client) -> None:
    found = problem(http.get("/v1/status?collection=none"), 404, "unknown-collection", "collection")
    assert "'none'" in found["detail"]
    body = {"q": "red", "collection": "none"}
    problem(http.post("/v1/search", json=body), 404, "unknown-collection", "collection")


@pytest.mark.parametrize(
    "route", ["/healthz", "/v1/status", "/v1/photos/{photo}/thumbnail", "/openapi.json", "/docs"]
)
def test_head_is_answered_wherever_get_is(route: str, http: httpx.Client, photo: str) -> None:
    address = route.format(photo=photo)
    asked, whole = http.head(address), http.get(address)
    assert (asked.status_code, asked.content) == (200, b"")
    for name in ("content-type", "content-length", "etag", "cache-control"):
        assert asked.headers.get(name) == whole.headers.get(name)
    assert http.head("/v1/nothing").status_code == 404
    assert http.head("/v1/search").status_code == 405
