"""Routes that search for photos and places."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, Request

from search.explain import explain as read
from search.hits import Results
from search.layout import layout_scene
from search.query import ImageTerm
from search.scenes.language import refuse_files
from tips_model.errors import TipsError
from ui.live_collection import State
from ui.service.context import V1, Given, Service, json_only
from ui.service.problems import Problem, of_error
from ui.service.requests import (
    AgainQuestion,
    Asked,
    ExplainQuestion,
    LayoutQuestion,
    PlaceQuestion,
    Question,
    SimilarQuestion,
)
from ui.service.responses import Explained, Found

if TYPE_CHECKING:
    from PIL import Image

router = APIRouter(prefix=V1, tags=["search"])
as_json = [Depends(json_only)]


@router.post("/search", dependencies=as_json)
async def search(asked: Question, given: Given, request: Request) -> Found:
    """Find photos by a sentence, by photos of the collection, or by both.

    Returns only confident hits unless `all` is set, so there may be no hits.
    """
    return await find(given, request, asked)


@router.post("/explain", dependencies=as_json)
async def explain(asked: ExplainQuestion) -> Explained:
    """Explain how a query is read: its parts, and its reading in one line and in plain English.

    Searches nothing.
    """
    refuse_files(asked.q)
    return Explained.model_validate(read(asked.q, asked.by == "places").to_dict())


@router.post("/regions", dependencies=as_json)
async def regions(asked: PlaceQuestion, given: Given, request: Request) -> Found:
    """Find places by a sentence, by photos of the collection, or by both, grouped by photo."""
    return await find(given, request, asked)


@router.post("/similar", dependencies=as_json)
async def similar(asked: SimilarQuestion, given: Given, request: Request) -> Found:
    """Find photos like one of the collection, or places like a part of it.

    The photo itself is excluded.
    """
    return await find(given, request, asked)


@router.post("/layout", dependencies=as_json)
async def layout(asked: LayoutQuestion, given: Given, request: Request) -> Found:
    """Find photos that show things in the given boxes."""
    return await find(given, request, asked)


@router.post("/find-again", dependencies=as_json)
async def find_again(asked: AgainQuestion, given: Given, request: Request) -> Found:
    """Find other photos that show the things in the given boxes or at the given points."""
    if not any(example.positive for example in asked.examples):
        raise Problem(422, "query", "At least one example must be positive.", field="examples")
    return await find(given, request, asked)


async def find(
    given: Service,
    request: Request,
    asked: Asked,
    picture: Callable[[State], Image.Image] | None = None,
) -> Found:
    """The results for a body and a picture that is read in the worker; the words are stored for the
    access log.
    """
    request.state.asked = asked.words or ", ".join(thing.text for thing in asked.layout)

    def work(state: State) -> Results:
        whole = asked
        if picture is not None:
            whole = asked.model_copy(update={"pictures": (ImageTerm(picture(state)),)})
        _check(state, whole)
        return state.searcher.search(whole)

    results = await given.search(asked.collection, work)
    return Found.of(given.engines.get(asked.collection).name, results)


def _check(state: State, asked: Asked) -> None:
    """Raise a `Problem` that names the field for an empty question, an id that is not in the
    collection, or a thing that cannot be searched for.
    """
    pictured = asked.like or asked.unlike or asked.pictures or asked.layout or asked.examples
    if not (asked.words.strip() or pictured):
        raise Problem(422, "query", "Say what to look for: words, or photos.", field="q")
    one = isinstance(asked, SimilarQuestion)
    named = {("photo" if one else f"like.{n}"): photo for n, photo in enumerate(asked.like)}
    named |= {f"unlike.{n}": photo for n, photo in enumerate(asked.unlike)}
    named |= {f"examples.{n}.photo": example.image for n, example in enumerate(asked.examples)}
    rows = state.catalog.rows(list(named.values()), ["id", "status"]).to_pylist() if named else []
    known = {row["id"] for row in rows if row["status"] == "ok"}
    for field, photo in named.items():
        if photo not in known:
            detail = f"There is no photo with the id {photo} in this collection."
            raise Problem(422, "unknown-photo", detail, field=field)
    refuse_files(asked.words)
    for number, thing in enumerate(asked.layout):
        try:  # one by one, so that an error names its thing
            refuse_files(thing.text)
            layout_scene([thing])
        except TipsError as error:
            raise of_error(error, f"things.{number}.text") from error
