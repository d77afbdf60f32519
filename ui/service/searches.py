"""The routes that find photos and places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Request

from search.hits import Results
from search.layout import layout_scene
from search.query import Example
from tips_model.errors import TipsError
from ui.question import narrowed, question, refuse_files
from ui.service.answers import Found
from ui.service.engine import State
from ui.service.given import V1, Given, Service, json_only
from ui.service.problems import Problem, of_error
from ui.service.questions import (
    AgainQuestion,
    LayoutQuestion,
    Page,
    PlaceQuestion,
    Question,
    SimilarQuestion,
)

if TYPE_CHECKING:
    from PIL import Image

router = APIRouter(prefix=V1, tags=["search"])
as_json = [Depends(json_only)]


@router.post("/search", dependencies=as_json)
async def search(asked: Question, given: Given, request: Request) -> Found:
    """Photos for a sentence, for photos of the collection, or for both.

    Only confident hits unless `all` is set: no hits is an answer.
    """
    return await find(given, request, asked, asked.q, lambda state: composed(state, asked))


@router.post("/regions", dependencies=as_json)
async def regions(asked: PlaceQuestion, given: Given, request: Request) -> Found:
    """Places for a sentence, for photos of the collection, or for both, grouped by photo."""
    return await find(given, request, asked, asked.q, lambda state: composed(state, asked))


@router.post("/similar", dependencies=as_json)
async def similar(asked: SimilarQuestion, given: Given, request: Request) -> Found:
    """Photos like one of the collection, or places like a part of it; its own photo is left out."""

    def work(state: State) -> Results:
        check_known(state, [asked.photo], ["photo"])
        page = _page(state, asked)
        if asked.box is None:
            return state.searcher.similar(asked.photo, **page)
        return state.searcher.similar_region(asked.photo, asked.box, **page)

    return await find(given, request, asked, "", work)


@router.post("/layout", dependencies=as_json)
async def layout(asked: LayoutQuestion, given: Given, request: Request) -> Found:
    """Photos that show things where they are placed."""

    def work(state: State) -> Results:
        things = [(thing.text, thing.box) for thing in asked.things]
        for number, (text, box) in enumerate(things):
            try:  # one by one, so that an error names its thing
                refuse_files(text)
                layout_scene([(text, box)])
            except TipsError as error:
                raise of_error(error, f"things.{number}.text") from error
        return state.searcher.layout(things, refine=asked.refine, **_page(state, asked))

    written = ", ".join(thing.text for thing in asked.things)
    return await find(given, request, asked, written, work)


@router.post("/find-again", dependencies=as_json)
async def find_again(asked: AgainQuestion, given: Given, request: Request) -> Found:
    """The thing in a box, or at a point, of one photo in all the others."""
    examples = [
        Example(each.photo, box=each.box, point=each.point, positive=each.positive)
        for each in asked.examples
    ]
    if not any(example.positive for example in examples):
        raise Problem(422, "query", "At least one example has to be positive.", field="examples")

    def work(state: State) -> Results:
        names = [f"examples.{number}.photo" for number in range(len(examples))]
        check_known(state, [example.image for example in examples], names)
        return state.searcher.find_again(examples, refine=asked.refine, **_page(state, asked))

    return await find(given, request, asked, "", work)


def check_known(state: State, photos: Sequence[str], fields: Sequence[str]) -> None:
    """Raise `Problem` 422, naming the field, for an id that is no photo of the collection."""
    if not photos:
        return
    rows = state.catalog.rows(list(photos), ["id", "status"]).to_pylist()
    known = {row["id"] for row in rows if row["status"] == "ok"}
    for photo, field in zip(photos, fields, strict=True):
        if photo not in known:
            raise Problem(
                422,
                "unknown-photo",
                f"There is no photo with the id {photo} in this collection.",
                field=field,
            )


def composed(
    state: State, asked: Question | PlaceQuestion, picture: Image.Image | None = None
) -> Results:
    """The answer to words, photos and a picture, as far as there are any."""
    if not (asked.q.strip() or asked.like or asked.unlike or picture):
        raise Problem(422, "query", "Say what to look for: words, or photos.", field="q")
    judged = (*asked.like, *asked.unlike)
    names = [f"like.{n}" for n in range(len(asked.like))]
    names += [f"unlike.{n}" for n in range(len(asked.unlike))]
    check_known(state, judged, names)
    page = _page(state, asked, without=judged)
    parts: dict[str, Any] = {"like": asked.like, "unlike": asked.unlike, "picture": picture}
    if isinstance(asked, PlaceQuestion):
        query = question(asked.q.strip(), places=True, **parts)
        return state.searcher.regions(query, refine=asked.refine, **page)
    return state.searcher.images(question(asked.q.strip(), **parts), **page)


def _page(state: State, asked: Page, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The arguments of the search that say which hits. Raises `FilterError`."""
    return {
        "limit": asked.limit,
        "offset": asked.offset,
        "filter": narrowed(asked.filter, without=without),
        "all": asked.all,
    }


async def find(
    given: Service, request: Request, asked: Page, words: str, work: Callable[[State], Results]
) -> Found:
    """The answer that `work` finds; `words` are for the log, if it is to have them."""
    if words:
        request.state.asked = words
    results = await given.search(asked.collection, work)
    name = given.engines.get(asked.collection).name
    return Found.of(name, results, asked.offset)
