"""The OpenAPI document: what it says is so, for whatever fits it, and for whatever does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.ui.service.conftest import problem, running
from ui.service import requests

EXAMPLES = 8  # requests of each operation, half of them wrong
# Words that fit the schema may still be no query, and ids no photo.
NOT_PROMISED = [positive_data_acceptance]
TOKEN = {"Authorization": "Bearer a-long-enough-token"}


@pytest.fixture(scope="module")
def document(http: httpx.Client) -> dict[str, Any]:
    loaded: dict[str, Any] = http.get("/openapi.json").json()
    return loaded


def test_the_service_is_as_its_document_says(calibrated: Path) -> None:
    with running(calibrated, tokens=(TOKEN["Authorization"].split()[1],)) as (http, _):
        schema = schemathesis.openapi.from_url(str(http.base_url.join("/openapi.json")))
        tried = [_try(found.ok()) for found in schema.get_all_operations()]
    assert len(tried) == 23
    assert min(tried) >= 1


def _try(operation: APIOperation) -> int:
    """Send requests that fit the operation and such that do not; how many."""
    count = 0
    cases = [operation.as_strategy(), operation.as_strategy(GenerationMode.NEGATIVE)]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(strategies.one_of(cases))
    def run(case: Case) -> None:
        nonlocal count
        count += 1
        case.call_and_validate(headers=TOKEN, excluded_checks=NOT_PROMISED)

    run()
    return count


def test_every_operation_has_words_an_answer_and_problems(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"].endswith((".", "`.")), where
            for status, response in operation["responses"].items():
                kinds = set(response["content"])
                assert kinds == {"application/problem+json"} or status < "400", where
            guarded = path.startswith("/v1/") or path == "/metrics"
            assert ("401" in operation["responses"]) is guarded, where
            assert ("security" in operation) is guarded, where
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_question_has_an_example_that_fits_it(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" not in content:
                continue
            name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
            examples = schemas[name]["examples"]
            assert examples, f"{method} {path}"
            for example in examples:
                getattr(requests, name).model_validate(example)


def test_every_field_is_described_or_plain(document: dict[str, Any]) -> None:
    for name in ("Question", "PlaceQuestion", "AgainQuestion", "FoundPhoto", "Place", "Found"):
        described = document["components"]["schemas"][name]
        assert described["description"], name
    properties = document["components"]["schemas"]["Question"]["properties"]
    assert all("description" in field for field in properties.values())


def test_the_limits_are_stated(document: dict[str, Any]) -> None:
    text = document["info"]["description"]
    for limit in ("500 characters", "200 hits", "32 MiB", "100 megapixels", "16 folders", "503"):
        assert limit in text
    question = document["components"]["schemas"]["Question"]["properties"]
    assert question["q"]["maxLength"] == 500
    assert (question["limit"]["maximum"], question["offset"]["maximum"]) == (200, 10_000)
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"


def test_the_examples_of_the_document_are_answered(
    document: dict[str, Any], http: httpx.Client
) -> None:
    routes = {"Question": "search", "PlaceQuestion": "regions", "LayoutQuestion": "layout"}
    for name, route in routes.items():
        for example in document["components"]["schemas"][name]["examples"]:
            assert http.post(f"/v1/{route}", json=example).status_code == 200, example


def test_uploads_are_described_as_what_is_taken(document: dict[str, Any]) -> None:
    for name in ("search", "regions"):
        body = document["paths"][f"/v1/{name}/upload"]["post"]["requestBody"]
        assert set(body["content"]) == {"multipart/form-data"}


def test_the_page_of_the_document_needs_nothing_from_elsewhere(http: httpx.Client) -> None:
    page = http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)["']|url: ["']([^"']+)["']""", page.text)
    named = {one or other for one, other in addresses}
    assert "/openapi.json" in named
    assert all(name.startswith("/") for name in named)
    assert all(http.get(name).status_code == 200 for name in named)
    assert "'unsafe-inline'" in page.headers["content-security-policy"]
    assert "http" not in page.headers["content-security-policy"]


def test_a_problem_is_as_its_schema_says(document: dict[str, Any], http: httpx.Client) -> None:
    schema = document["components"]["schemas"]["ProblemAnswer"]
    found = problem(http.post("/v1/search", json={"limit": 0}), 422, "invalid", "limit")
    assert set(schema["required"]) <= set(found) <= set(schema["properties"])
