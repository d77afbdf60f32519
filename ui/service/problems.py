"""Error responses as `application/problem+json` (RFC 9457), never a stack trace."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from indexer.errors import CollectionBusyError
from indexer.vectors import VectorError
from search.errors import FilterError, QueryError, QuerySyntaxError, SearchError
from tips_model.errors import TipsError
from ui.job_files import JobError
from ui.live_collection import NotOpenError

PROBLEM_JSON = "application/problem+json"
RETRY_UNREACHABLE, RETRY_OPENING = 5, 2  # seconds
_log = logging.getLogger("tips.service")


class FieldProblem(BaseModel):
    """What is wrong with one field of a request."""

    field: str = Field(
        description="The field, as a dotted path; or the name of a header or parameter.",
        examples=["limit", "things.0.box"],
    )
    detail: str = Field(description="What is wrong with it, as a sentence.")
    start: int | None = Field(
        default=None, description="Position of the first invalid character of a text."
    )
    end: int | None = Field(default=None, description="Position after the last invalid character.")


class ProblemAnswer(BaseModel):
    """A problem in the format of RFC 9457, with a code and the invalid fields."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "about:blank",
                "title": "Unprocessable Content",
                "status": 422,
                "detail": "The query cannot be read at its end: ...",
                "code": "query-syntax",
                "instance": "urn:uuid:6fd1b4f2-8d7c-4f56-9d0a-1c6a3c1c2f55",
                "errors": [{"field": "q", "detail": "...", "start": 8, "end": 9}],
            }
        }
    )

    type: str = Field(default="about:blank", description="Always about:blank; see `code`.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(description="What is wrong and how to fix it, for people.")
    code: str = Field(description="What is wrong, for programs.", examples=["query-syntax"])
    instance: str = Field(description="The id of this request, as in the service's log.")
    errors: list[FieldProblem] = Field(default=[], description="The invalid fields.")


class Problem(Exception):
    """An error that is sent as a problem response.

    code: stable, for programs. detail: a sentence. field: the invalid field; `errors` if there are
    several.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        field: str = "",
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.errors = [FieldProblem(field=field, detail=detail)] if field else list(errors)
        self.headers = dict(headers or {})

    def response(self, instance: str) -> JSONResponse:
        """The response; `instance` identifies the request."""
        answer = ProblemAnswer(
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            code=self.code,
            instance=instance,
            errors=self.errors,
        )
        content = answer.model_dump(exclude_none=True)
        return JSONResponse(content, self.status, self.headers, media_type=PROBLEM_JSON)


def instance_of(request: Request) -> str:
    """The id of a request, assigned by `ui.service.access_log`."""
    return f"urn:uuid:{request.scope['state']['request_id']}"


def too_large() -> Problem:
    """The problem for a body that is too large."""
    detail = "The request is too large; /openapi.json lists the limits."
    return Problem(413, "too-large", detail, field="body")


def of_error(error: TipsError, field: str = "") -> Problem:
    """The problem for an error of the lower layers. field: the field concerned, if the error does
    not say.
    """
    detail = str(error)
    if isinstance(error, QuerySyntaxError):
        start, end = error.spot
        place = FieldProblem(field=field or "q", detail=detail, start=start, end=end)
        return Problem(422, "query-syntax", detail, errors=[place])
    if isinstance(error, FilterError):
        return Problem(422, "filter", detail, field="filter")
    if isinstance(error, QueryError):
        return Problem(422, "query", detail, field=field or "q")
    if isinstance(error, SearchError):
        return Problem(409, "nothing-indexed", detail)
    if isinstance(error, CollectionBusyError | JobError):
        return Problem(409, "busy", detail)
    if isinstance(error, NotOpenError):
        return Problem(503, "not-ready", detail, headers={"Retry-After": str(RETRY_OPENING)})
    headers = {"Retry-After": str(RETRY_UNREACHABLE)}
    if isinstance(error, VectorError):
        return Problem(503, "vectors-unreachable", detail, headers=headers)
    return Problem(503, "collection-unusable", detail, headers=headers)


def defect(instance: str, error: BaseException) -> JSONResponse:
    """The response to an internal error, which is logged under the request's id."""
    _log.error("defect in %s", instance, exc_info=error)
    sentence = "Internal error; the service's log has the details under the id of this request."
    return Problem(500, "defect", sentence).response(instance)


def install(app: FastAPI) -> None:
    """Make the application answer every kind of error with a problem."""

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> JSONResponse:
        return error.response(instance_of(request))

    @app.exception_handler(TipsError)
    async def told(request: Request, error: TipsError) -> JSONResponse:
        return of_error(error).response(instance_of(request))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return _of_validation(error).response(instance_of(request))

    @app.exception_handler(HTTPException)
    async def raised(request: Request, error: HTTPException) -> JSONResponse:
        return _of_http(error).response(instance_of(request))


def _of_validation(error: RequestValidationError) -> Problem:
    errors = [_invalid(one) for one in error.errors()]
    first = errors[0] if errors else FieldProblem(field="body", detail="It cannot be read.")
    return Problem(422, "invalid", f"{first.field}: {first.detail}", errors=errors or [first])


def _invalid(error: Mapping[str, Any]) -> FieldProblem:
    if error["type"] == "json_invalid":  # its location ends with the position in the text
        place = error["loc"][-1]
        reason = error["ctx"]["error"]
        return FieldProblem(field="body", detail=f"Invalid JSON: {reason}.", start=place)
    message = error["msg"].removeprefix("Value error, ").rstrip(".")
    if "UploadFile" in message:
        message = "It must be a file with a name, not a text"
    return FieldProblem(field=_field(error["loc"]), detail=f"{message[:1].upper()}{message[1:]}.")


def _of_http(error: HTTPException) -> Problem:
    said = f"{str(error.detail).rstrip('.')}."
    if error.status_code == 413:
        return too_large()
    if error.status_code == 400:  # raised only where the body is read
        return Problem(400, "unreadable", f"The body cannot be read: {said}", field="body")
    nothing = "There is nothing at this address; /openapi.json lists the routes."
    others = "This address does not support this method; the Allow header lists those it does."
    code, detail, field = {
        404: ("no-route", nothing, "path"),
        405: ("method", others, "method"),
    }.get(error.status_code, ("refused", said, ""))
    return Problem(error.status_code, code, detail, field=field, headers=error.headers)


def _field(location: Sequence[Any]) -> str:
    """`limit` for ("body", "limit"): the part of the request is not part of the name."""
    parts = [str(part) for part in location]
    if len(parts) > 1 and parts[0] in ("body", "query", "path", "header"):
        parts = parts[1:]
    return ".".join(parts)
