"""A typed Python client of the service.

with Client("http://127.0.0.1:8765", token="...") as client:
    for hit in client.regions("red umbrella", limit=5).hits:
        print(hit.score, hit.path, hit.regions[0].box)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import sleep
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack

import httpx
from pydantic import BaseModel

from ui.service.responses import (
    CollectionSummary,
    Explained,
    Facets,
    Found,
    IndexJob,
    PhotoFacts,
    Status,
)

if TYPE_CHECKING:  # the client does not import the search at runtime
    from search.query import Box, Point
    from search.request import Page, RefinedPage, Request

Model = TypeVar("Model", bound=BaseModel)
RETRIED = (429, 503)
LONGEST_WAIT = 60.0  # seconds


class ServiceError(Exception):
    """An error response of the service: its message, `status`, `code`, and the invalid `fields`."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(problem.get("detail", f"The service answered with {status}."))
        self.status = status
        self.code: str = problem.get("code", "")
        self.instance: str = problem.get("instance", "")
        self.fields: dict[str, str] = {
            error["field"]: error["detail"] for error in problem.get("errors", [])
        }


class Client:
    """A client of one service.

    token: one of the service's. collection: the name of the collection to query; None for the
    service's first. timeout: seconds per request. retries: how often a request is retried when the
    service is busy (429, 503), each time after the requested delay. Every method raises
    `ServiceError` for an error response, and `httpx.TransportError` when there is no response.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        collection: str | None = None,
        timeout: float = 60.0,
        retries: int = 3,
    ) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=address, headers=headers, timeout=timeout)
        self._collection, self._retries = collection, retries

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(self, request: Request) -> Found:
        """The results page for a request; unset fields take the service's defaults. Of `pictures`,
        the service takes one file, and words as a text.
        """
        body = request.model_dump(
            mode="json", by_alias=True, exclude_unset=True, exclude={"by", "pictures"}
        )
        route = "regions" if request.finds_places else "search"
        if request.box:
            route = "similar"
            (body["photo"],) = body.pop("like")
        elif request.layout or request.examples:
            route = "layout" if request.layout else "find-again"
        if not request.pictures:
            return self._ask(route, Found, **body)
        (picture,) = request.pictures
        return self._upload(f"{route}/upload", Path(str(picture.source)), **body)

    def search(
        self,
        q: str = "",
        *,
        like: Sequence[str] = (),
        unlike: Sequence[str] = (),
        **page: Unpack[Page],
    ) -> Found:
        """Photos for a sentence, for photos (ids), or for both."""
        return self._ask("search", Found, q=q, like=[*like], unlike=[*unlike], **page)

    def regions(
        self,
        q: str = "",
        *,
        like: Sequence[str] = (),
        unlike: Sequence[str] = (),
        **page: Unpack[RefinedPage],
    ) -> Found:
        """Places for a sentence, for photos (ids), or for both."""
        return self._ask("regions", Found, q=q, like=[*like], unlike=[*unlike], **page)

    def search_picture(self, file: Path, q: str = "", **page: Unpack[Page]) -> Found:
        """Photos like a picture file, optionally also like a sentence."""
        return self._upload("search/upload", file, q=q, **page)

    def regions_picture(self, file: Path, q: str = "", **page: Unpack[Page]) -> Found:
        """Places like a picture file, optionally also like a sentence."""
        return self._upload("regions/upload", file, q=q, **page)

    def similar(self, photo: str, box: Box | None = None, **page: Unpack[Page]) -> Found:
        """Photos like one of the collection, or places like a part of it."""
        return self._ask("similar", Found, photo=photo, box=box, **page)

    def layout(self, things: Sequence[tuple[str, Box]], **page: Unpack[RefinedPage]) -> Found:
        """Photos that show things at given places: pairs of a text and a box."""
        placed = [{"text": text, "box": box} for text, box in things]
        return self._ask("layout", Found, things=placed, **page)

    def find_again(
        self,
        photo: str,
        *,
        boxes: Sequence[Box] = (),
        points: Sequence[Point] = (),
        unlike: Sequence[tuple[str, Box | Point]] = (),
        **page: Unpack[RefinedPage],
    ) -> Found:
        """The things in boxes, or at points, of one photo in all the others.

        unlike: places, each with its photo, that show what to exclude.
        """
        examples: list[dict[str, Any]] = [{"photo": photo, "box": box} for box in boxes]
        examples += [{"photo": photo, "point": point} for point in points]
        for other, place in unlike:
            kind = "box" if len(place) == 4 else "point"
            examples.append({"photo": other, kind: place, "positive": False})
        return self._ask("find-again", Found, examples=examples, **page)

    def photo(self, photo: str) -> PhotoFacts:
        """The facts about a photo."""
        return PhotoFacts.model_validate_json(self._get(f"photos/{photo}"))

    def thumbnail(self, photo: str) -> bytes:
        """A small picture of a photo, WebP."""
        return self._get(f"photos/{photo}/thumbnail")

    def picture(self, photo: str) -> bytes:
        """A photo reduced for a screen, JPEG."""
        return self._get(f"photos/{photo}/picture")

    def explain(self, q: str, *, by: Literal["photos", "places"] = "photos") -> Explained:
        """How a query is read, without searching."""
        answer = self._send("POST", "explain", json={"q": q, "by": by})
        return Explained.model_validate_json(answer.content)

    def heatmap(self, photo: str, q: str, *, exact: bool = False) -> bytes:
        """Where a photo shows the words, as a transparent PNG."""
        body = self._with_collection({"q": q, "exact": exact})
        return self._send("POST", f"photos/{photo}/heatmap", json=body).content

    def collections(self) -> list[CollectionSummary]:
        """The collections of the service."""
        found = json.loads(self._send("GET", "collections").content)
        return [CollectionSummary.model_validate(each) for each in found]

    def status(self) -> Status:
        """What the collection contains."""
        return Status.model_validate_json(self._get("status"))

    def facets(self, filter: str = "", *, folder: str = "", limit: int = 100) -> Facets:
        """Cameras, years, folders, ... of the photos under a filter, counted."""
        more = {"filter": filter, "folder": folder, "limit": limit}
        return Facets.model_validate_json(self._get("facets", **more))

    def start_job(self, folders: Sequence[str] = (), *, retry_failed: bool = False) -> IndexJob:
        """Index folders of the service's machine, or all that the collection knows."""
        return self._ask("jobs", IndexJob, folders=[*folders], retry_failed=retry_failed)

    def jobs(self) -> list[IndexJob]:
        """The last job of each collection that has one."""
        found = json.loads(self._send("GET", "jobs").content)
        return [IndexJob.model_validate(each) for each in found]

    def cancel_job(self, collection: str | None = None) -> IndexJob:
        """Ask the job of a collection to stop, or forget it if it has ended."""
        name = collection or self._name()
        return IndexJob.model_validate_json(self._send("DELETE", f"jobs/{name}").content)

    def follow_job(self, collection: str | None = None) -> Iterator[IndexJob]:
        """Yields the job of a collection on every change, until it has ended; the last one holds
        the outcome, unless it was cancelled. A busy service raises an error at once, without
        retries.
        """
        address = f"/v1/jobs/{collection or self._name()}/events"
        with self._http.stream("GET", address, timeout=httpx.Timeout(60, read=60)) as response:
            if response.is_error:
                response.read()
                raise _error(response)
            for line in response.iter_lines():
                name, _, value = line.partition(": ")
                if name == "data" and value != "null":
                    yield IndexJob.model_validate_json(value)

    def _ask(self, route: str, model: type[Model], **body: Any) -> Model:
        answer = self._send("POST", route, json=self._with_collection(body))
        return model.model_validate_json(answer.content)

    def _upload(self, route: str, file: Path, **fields: Any) -> Found:
        form = {name: _form(value) for name, value in self._with_collection(fields).items()}
        files = {"picture": (file.name, file.read_bytes(), "application/octet-stream")}
        answer = self._send("POST", route, data=form, files=files)
        return Found.model_validate_json(answer.content)

    def _get(self, route: str, **parameters: Any) -> bytes:
        return self._send("GET", route, params=self._with_collection(parameters)).content

    def _name(self) -> str:
        return self._collection or self.collections()[0].name

    def _with_collection(self, values: dict[str, Any]) -> dict[str, Any]:
        return values if self._collection is None else values | {"collection": self._collection}

    def _send(self, method: str, route: str, **content: Any) -> httpx.Response:
        for left in range(self._retries, -1, -1):
            response = self._http.request(method, f"/v1/{route}", **content)
            if response.status_code not in RETRIED or not left:
                break
            wait = response.headers.get("Retry-After", "1")
            sleep(min(float(wait) if wait.isdecimal() else 1.0, LONGEST_WAIT))
        if response.is_error:
            raise _error(response)
        return response


def _form(value: object) -> str | list[str]:
    if isinstance(value, list):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _error(response: httpx.Response) -> ServiceError:
    try:
        problem = response.json()
    except ValueError:  # a proxy in between has answered
        problem = {}
    return ServiceError(response.status_code, problem if isinstance(problem, dict) else {})
