"""Who may ask, by which name, how often, and with how much."""

from __future__ import annotations

import io
import json
import logging
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image

from tests.ui.service.conftest import problem, running
from ui.service.context import Service

TOKEN, OTHER = "a-long-enough-token", "another-long-enough-token"
ASK = {"q": "red", "limit": 1}
GUARDED = ("/v1/status", "/v1/collections", "/v1/jobs", "/metrics", "/v1/nothing", "/nothing")
OPEN = ("/healthz", "/readyz", "/openapi.json", "/docs", "/static-offline-docs/swagger-ui.css")


@pytest.fixture(scope="module")
def guarded(calibrated: Path) -> Iterator[httpx.Client]:
    """A service with two tokens, one page of the web, small uploads, and a defect."""

    def broken() -> None:
        raise RuntimeError("secret of the inside")

    def change(app: FastAPI) -> None:
        app.add_api_route("/v1/broken", broken)

    settings = {
        "tokens": (TOKEN, OTHER),
        "origins": ("https://photos.example.org",),
        "upload_bytes": 1 << 20,
    }
    with running(calibrated, change=change, **settings) as (http, _):
        yield http


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("address", GUARDED)
@pytest.mark.parametrize(
    "header", [{}, bearer("wrong"), bearer(TOKEN[:-1]), {"Authorization": TOKEN}]
)
def test_nothing_is_answered_without_a_token(
    address: str, header: dict[str, str], guarded: httpx.Client
) -> None:
    response = guarded.get(address, headers=header)
    problem(response, 401, "token", "Authorization")
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_a_token_that_is_no_ascii_is_wrong_and_no_defect(guarded: httpx.Client) -> None:
    response = guarded.get("/v1/status", headers={b"Authorization": b"Bearer \xff\xfe"})
    problem(response, 401, "token", "Authorization")


@pytest.mark.parametrize("token", [TOKEN, OTHER])
def test_each_token_lets_in(token: str, guarded: httpx.Client) -> None:
    assert guarded.post("/v1/search", json=ASK, headers=bearer(token)).status_code == 200
    assert guarded.get("/metrics", headers=bearer(token)).status_code == 200


@pytest.mark.parametrize("address", OPEN)
def test_what_tells_nothing_of_the_photos_needs_no_token(
    address: str, guarded: httpx.Client
) -> None:
    assert guarded.get(address).status_code == 200


@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
def test_probes_may_ask_for_the_head_alone(address: str, guarded: httpx.Client) -> None:
    response = guarded.head(address)
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "localhost.evil.example", ""]
)
def test_a_foreign_name_is_refused(host: str, http: httpx.Client) -> None:
    problem(http.get("/v1/status", headers={"Host": host}), 400, "host", "Host")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "LOCALHOST:8765", "[::1]:8765"])
def test_this_machines_names_are_known(host: str, http: httpx.Client) -> None:
    assert http.get("/v1/status", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
def test_pages_of_others_may_not_ask(origin: str, http: httpx.Client) -> None:
    response = http.post("/v1/search", json=ASK, headers={"Origin": origin})
    problem(response, 403, "origin", "Origin")
    assert "access-control-allow-origin" not in response.headers


def test_a_page_that_is_allowed_may_ask(guarded: httpx.Client) -> None:
    origin = {"Origin": "https://photos.example.org"}
    asked = {"Access-Control-Request-Method": "POST"}
    before = guarded.options("/v1/search", headers=origin | asked)
    assert before.headers["access-control-allow-origin"] == origin["Origin"]
    answer = guarded.post("/v1/search", json=ASK, headers=origin | bearer(TOKEN))
    assert answer.headers["access-control-allow-origin"] == origin["Origin"]
    refused = guarded.get("/v1/status", headers=origin)
    assert refused.headers["access-control-allow-origin"] == origin["Origin"]


def test_a_client_that_asks_too_often_is_told_when_to_come_again(calibrated: Path) -> None:
    with running(calibrated, rate="3/hour") as (http, service):
        assert [http.get("/v1/collections").status_code for _ in range(3)] == [200] * 3
        # A header that anybody can write makes nobody another.
        refused = http.get("/v1/collections", headers={"X-Forwarded-For": "192.0.2.7"})
        problem(refused, 429, "rate")
        # An hour after the first of the three, not at the end of the clock's hour.
        assert 3500 < int(refused.headers["retry-after"]) <= 3600
        assert http.get("/healthz").status_code == 200  # probes are not counted
        count = service.metrics.registry.get_sample_value("tips_refused_total", {"reason": "rate"})
        assert count == 1


def png(width: int, height: int) -> bytes:
    """A PNG that says it is so large, in a few bytes: nothing behind its header is sound."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        summed = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + summed

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0" * 99))


def sent(content: bytes, kind: str = "image/png") -> dict[str, tuple[str, bytes, str]]:
    return {"picture": ("x.png", content, kind)}


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(http: httpx.Client) -> None:
    response = http.post("/v1/search/upload", files=sent(png(60_000, 60_000)))
    found = problem(response, 422, "picture", "picture")
    assert "60000 x 60000 pixels exceed the limit of 100 megapixels" in found["detail"]


def test_an_upload_of_too_many_bytes_is_refused(guarded: httpx.Client) -> None:
    large = sent(b"x" * (2 << 20))
    response = guarded.post("/v1/search/upload", files=large, headers=bearer(TOKEN))
    problem(response, 413, "too-large", "body")


def test_a_body_that_does_not_say_its_length_is_counted(http: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 1024

    kind = {"Content-Type": "application/json"}
    problem(http.post("/v1/search", content=pieces(), headers=kind), 413, "too-large", "body")


def test_a_long_body_of_a_plain_question_is_refused(http: httpx.Client) -> None:
    problem(http.post("/v1/search", json={"q": "x" * 70_000}), 413, "too-large", "body")


@pytest.mark.parametrize("kind", ["text/html", "application/pdf", "video/mp4"])
def test_what_is_no_picture_is_of_the_wrong_type(kind: str, http: httpx.Client) -> None:
    response = http.post("/v1/search/upload", files=sent(b"x", kind))
    problem(response, 415, "media-type", "picture")


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8 no picture", b"II*\x00\x00"])
def test_a_picture_that_cannot_be_read_is_said(content: bytes, http: httpx.Client) -> None:
    problem(http.post("/v1/search/upload", files=sent(content)), 422, "picture", "picture")


def access_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The lines of the access log; uvicorn may log its own beside them."""
    records = (record for record in caplog.records if record.name == "tips.access")
    return [record.line for record in records]  # type: ignore[attr-defined]


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}/healthz", "file:///etc/passwd"])
def test_an_address_of_a_picture_is_never_fetched(
    address: str, http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    address = address.format(port=http.base_url.port)
    with caplog.at_level(logging.INFO, "tips.access"):
        as_text = http.post("/v1/search/upload", data={"picture": address})
        assert as_text.status_code == 415  # a form without a file is no multipart
        parts = {"picture": (None, address.encode())}
        problem(http.post("/v1/search/upload", files=parts), 422, "invalid", "picture")
        as_file = sent(address.encode(), "image/jpeg")
        problem(http.post("/v1/search/upload", files=as_file), 422, "picture", "picture")
        named = http.post("/v1/search", json={"q": address})
        assert named.status_code in (200, 422)
        problem(http.post("/v1/search", json={"like": [address]}), 422, "invalid", "like.0")
    asked = [line["path"] for line in access_lines(caplog)]
    assert "/healthz" not in asked


def test_a_question_as_a_form_is_of_the_wrong_type(http: httpx.Client) -> None:
    problem(http.post("/v1/search", data={"q": "red"}), 415, "media-type", "Content-Type")
    plain = {"Content-Type": "text/plain"}  # what a page of others could send unasked
    response = http.post("/v1/search", content=b'{"q": "red"}', headers=plain)
    problem(response, 415, "media-type", "Content-Type")


def test_other_addresses_and_methods_are_problems_too(http: httpx.Client) -> None:
    problem(http.get("/v1/nothing"), 404, "no-route", "path")
    problem(http.get("/static-offline-docs/../../etc/passwd"), 404, "no-route", "path")
    response = http.delete("/v1/search")
    problem(response, 405, "method", "method")
    assert response.headers["allow"] == "POST"


def test_a_parameter_that_there_is_not_is_refused(http: httpx.Client, photo: str) -> None:
    response = http.get("/v1/facets", params={"filters": "camera:canon", "limit": 3, "page": 2})
    problem(response, 422, "invalid", "filters", "page")
    problem(http.get(f"/v1/photos/{photo}?size=9"), 422, "invalid", "size")
    # A question is a body, also its page.
    response = http.post("/v1/search", params={"limit": 3}, json={"q": "red"})
    problem(response, 422, "invalid", "limit")


def test_what_is_no_json_is_said_with_its_place(http: httpx.Client) -> None:
    kind = {"Content-Type": "application/json"}
    found = problem(
        http.post("/v1/search", content=b'{"q": red}', headers=kind), 422, "invalid", "body"
    )
    assert found["errors"][0]["start"] == 6
    problem(http.post("/v1/search", content=b"\xff{", headers=kind), 400, "unreadable", "body")


def test_a_defect_is_logged_and_told_by_its_name_only(
    guarded: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "tips.service"):
        found = problem(guarded.get("/v1/broken", headers=bearer(TOKEN)), 500, "defect")
    assert "secret" not in json.dumps(found)
    (record,) = caplog.records
    assert found["instance"] in record.getMessage()
    assert record.exc_info is not None
    assert "secret of the inside" in str(record.exc_info[1])


@pytest.mark.parametrize("queries", [False, True])
def test_what_was_asked_is_in_the_log_only_if_that_is_wished(
    queries: bool, calibrated: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (  # a line is written behind its answer, so the service ends before the level does
        caplog.at_level(logging.INFO, "tips.access"),
        running(calibrated, log_queries=queries) as (http, _),
    ):
        http.post("/v1/search", json={"q": "my private words"})
        http.get("/v1/facets?filter=camera:private")
    # The service of an earlier test may write its last line only now.
    lines = [line for line in access_lines(caplog) if line["path"] != "/v1/broken"]
    assert [line["path"] for line in lines] == ["/v1/search", "/v1/facets"]
    assert lines[0].get("asked") == ("my private words" if queries else None)
    assert ("private" in json.dumps(lines)) is queries


def test_stages_and_requests_are_counted(http: httpx.Client, service: Service, photo: str) -> None:
    value = service.metrics.registry.get_sample_value

    def counts() -> list[float]:
        route = {"route": "/v1/photos/{photo}/thumbnail", "method": "GET", "status": "200"}
        stages = [value("tips_stage_seconds_count", {"stage": s}) for s in ("picture", "search")]
        return [value("tips_requests_total", route) or 0, *(stage or 0 for stage in stages)]

    before = counts()
    http.get(f"/v1/photos/{photo}/thumbnail")
    http.post("/v1/search", json=ASK)
    assert counts() == [count + 1 for count in before]
    text = http.get("/metrics").text
    assert 'tips_requests_total{method="POST",route="/v1/search",status="200"}' in text
    assert "process_resident_memory_bytes" in text


def test_a_sound_picture_passes_all_this(http: httpx.Client) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (90, 60), "red").save(buffer, "PNG")
    files = sent(buffer.getvalue())
    assert http.post("/v1/search/upload", files=files, data={"all": "true"}).status_code == 200
