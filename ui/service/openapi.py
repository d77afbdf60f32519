"""Additions to the OpenAPI document: limits, and the error responses of every route."""

from __future__ import annotations

import re
from typing import Any

from ui.service.context import V1
from ui.service.problems import PROBLEM_JSON, ProblemAnswer
from ui.service.settings import (
    MOST_FILTER,
    MOST_FOLDERS,
    MOST_HITS,
    MOST_OFFSET,
    MOST_PHOTOS,
    MOST_PIXELS,
    MOST_REFINED,
    MOST_SECONDS,
    MOST_TEXT,
    Settings,
)

DESCRIPTION = """\
Photos go in, and a sentence finds the photo and the place in it.

A hit is **confident** when it stands out from what unrelated words find in the same collection.
Only confident hits are returned unless `all` is set, so a response may have no hits. Boxes are
fractions (x0, y0, x1, y1) of the upright photo. Queries go in the body, not the URL: what people
search for is private, and URLs end up in logs.

Every error is an `application/problem+json` (RFC 9457) that names the invalid field.
"""
TAGS = [
    {"name": "search", "description": "Find photos, and places in them."},
    {"name": "photos", "description": "One photo: metadata, pictures, heat maps."},
    {"name": "collections", "description": "List collections, and show what they contain."},
    {"name": "jobs", "description": "Index photos in the background."},
    {"name": "probes", "description": "Monitor the service."},
]
PROBLEMS = {
    "400": "The request cannot be read, or its host name is not allowed.",
    "401": "A bearer token is required.",
    "403": "The service does not allow this.",
    "404": "The resource does not exist.",
    "405": "The address does not support this method.",
    "409": "The request cannot be carried out now.",
    "413": "The request is too large.",
    "415": "The media type of the body is not supported.",
    "422": "A field is invalid.",
    "429": "Too many requests from this address; see Retry-After.",
    "500": "An internal error, logged under the request's id.",
    "503": "The service is busy or not ready; see Retry-After.",
}
ALWAYS = ("400", "403", "429", "500", "503")
SCHEMA = "ProblemAnswer"


def limits_text(settings: Settings) -> str:
    """The limits as a list in Markdown."""
    rate = settings.rate.replace(";", ", ") or "none"
    lines = (
        f"a query has at most {MOST_TEXT} characters, a filter {MOST_FILTER:,}",
        f"a page has at most {MOST_HITS} hits ({MOST_REFINED} with `refine`), and an offset of at "
        f"most {MOST_OFFSET:,}",
        f"a request has at most {MOST_PHOTOS} photos, examples or things",
        f"an uploaded picture has at most {settings.upload_bytes / 2**20:g} MiB and "
        f"{MOST_PIXELS / 1e6:g} megapixels, and must decode within {MOST_SECONDS:g} s",
        f"an index job has at most {MOST_FOLDERS} folders; a collection has one job at a time",
        f"{settings.workers} searches run and {settings.queue} wait; more are answered with 503",
        f"requests per address: {rate}",
    )
    return "Limits:\n\n" + "\n".join(f"- {line}" for line in lines)


def with_problems(schema: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The document with the limits, and with the error responses of every operation."""
    schema["info"]["description"] += "\n" + limits_text(settings)
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    problem = ProblemAnswer.model_json_schema(ref_template="#/components/schemas/{model}")
    components |= problem.pop("$defs")
    components[SCHEMA] = problem
    for name in ("HTTPValidationError", "ValidationError"):  # the framework's own form
        components.pop(name, None)
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            if "description" in operation:  # its first sentence, rather than a function's name
                operation["summary"] = re.split(r"[.:;](?:\s|$)", operation["description"])[0]
            responses = operation["responses"]
            responses.pop("422", None)
            for status in _possible(path, operation):
                responses[status] = _response(status)
    return schema


def _possible(path: str, operation: dict[str, Any]) -> list[str]:
    found = set(ALWAYS)
    if "security" in operation:
        found.add("401")
    if path.startswith(V1):
        found |= {"404", "409", "422"}
    if "requestBody" in operation:
        found |= {"413", "415"}
    return sorted(found)


def _response(status: str) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{SCHEMA}"}
    return {
        "description": PROBLEMS[status],
        "content": {PROBLEM_JSON: {"schema": reference}},
    }
