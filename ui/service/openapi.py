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

A hit is **confident** when it stands out from what unrelated words find in the same collection, and
only confident hits come back unless `all` is set: no hits is an answer. Boxes are fractions
(x0, y0, x1, y1) of the upright photo. Questions are sent as bodies, not in addresses: what people
look for is private, and addresses end in logs.

Whatever goes wrong is answered with `application/problem+json` (RFC 9457) that names the field.
"""
TAGS = [
    {"name": "search", "description": "Find photos, and places in them."},
    {"name": "photos", "description": "One photo: facts, pictures, heat maps."},
    {"name": "collections", "description": "What there is."},
    {"name": "jobs", "description": "Index photos in the background."},
    {"name": "probes", "description": "For machines that watch the service."},
]
PROBLEMS = {
    "400": "The request cannot be read, or it does not call the service by its name.",
    "401": "A token of the service is needed.",
    "403": "This is not allowed here.",
    "404": "There is no such thing.",
    "405": "The address has other methods.",
    "409": "It cannot be done now.",
    "413": "The request has too many bytes.",
    "415": "The body is of another media type.",
    "422": "A field is wrong.",
    "429": "Too many requests from this address; see Retry-After.",
    "500": "A defect, logged under the name of the request.",
    "503": "Too much to do, or not ready; see Retry-After.",
}
ALWAYS = ("400", "403", "429", "500", "503")
SCHEMA = "ProblemAnswer"


def limits_text(settings: Settings) -> str:
    """The limits as a list in Markdown."""
    rate = settings.rate.replace(";", ", ") or "none"
    lines = (
        f"a query has at most {MOST_TEXT} characters, a filter {MOST_FILTER:,}",
        f"a page has at most {MOST_HITS} hits ({MOST_REFINED} with `refine`) and begins after at "
        f"most {MOST_OFFSET:,}",
        f"a question names at most {MOST_PHOTOS} photos, examples or things",
        f"an uploaded picture has at most {settings.upload_bytes / 2**20:g} MiB and "
        f"{MOST_PIXELS / 1e6:g} megapixels, and may take {MOST_SECONDS:g} s to decode",
        f"an index job names at most {MOST_FOLDERS} folders; a collection has one job at a time",
        f"{settings.workers} searches run and {settings.queue} wait; more are answered with 503",
        f"requests of one address: {rate}",
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
