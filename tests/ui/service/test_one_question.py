"""One question: command line, address, service and client take the fields of `Request`, no others.

What a way in does not take, or says in a form of its own, is named here with the reason. A field
that is added to the class and forgotten by a way in fails these tests.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from search import Request
from search.query import Example, ImageTerm, PlacedThing
from search.request import SUBJECT, Page, RefinedPage
from ui.app.question import request
from ui.app.state import Place, PlacedWord, View
from ui.cli import cli
from ui.service import requests, uploads
from ui.service.client import Client
from ui.service.requests import Asked

FIELDS = set(Request.model_fields)
A, B = "ab" * 16, "cd" * 16
BOX = (0.1, 0.2, 0.5, 0.6)
WHICH: dict[str, Any] = {
    "limit": 3,
    "offset": 2,
    "filter": "date:2021",
    "all": True,
    "sort": "random",
    "seed": 7,
}
NEXT: dict[str, Any] = WHICH | {"offset": 0, "cursor": "abc"}
ROUTES: dict[str, type[Asked]] = {
    "search": requests.Question,
    "regions": requests.PlaceQuestion,
    "similar": requests.SimilarQuestion,
    "layout": requests.LayoutQuestion,
    "find-again": requests.AgainQuestion,
}
IN_SERVICE_BY_ROUTE = {
    "by": "the route says it",
    "pictures": "a file is never named: it is sent along, to search/upload and regions/upload",
    "exact": "passes of the model for every question are not for strangers",
}
IN_COMMANDS = {
    "words": "TEXT",
    "pictures": "--image",
    "layout": "TEXT BOX of `tips layout`",
    "examples": "--box, --point, --not-box, --not-point of `tips again`",
    "by": "the command says it",
    "like": "a photo is named by its file: --image",
    "unlike": "a photo is named by its file: `- ./photo.jpg` in TEXT",
    "box": "`tips again --box` finds what a box shows",
    "exact": "as `box`",
}
IN_ADDRESS = {
    "limit": "the page has as many as it shows",
    "offset": "the address has the number of the page",
    "cursor": "as `offset`",
    "sort": "as `order`, which also arranges what nobody asked for",
    "seed": "as `order`",
    "all": "the page always asks for both, and shows them apart",
    "refine": "the page refines what it shows, in the background",
    "box": "`find` marks places",
    "exact": "as `box`",
}

OF_THE_PAGE = {
    "q": "words",
    "show": "by",
    "find": "examples",
    "picture": "the name of one of `pictures`, which the session keeps",
    "overlay": "how it is drawn",
    "mode": "how it is drawn",
    "order": "how what was found is arranged; also what nobody asked for",
    "group": "as `order`",
    "page": "as `offset`",
    "same": "a group of near-duplicates, which are looked up",
    "photo": "what is open",
}


def said(asked: Request) -> set[str]:
    """The fields that are not as the class has them."""
    return {name for name, field in FIELD_ITEMS if getattr(asked, name) != field.default}


FIELD_ITEMS = Request.model_fields.items()


def test_what_all_take_has_a_type_for_the_short_methods() -> None:
    assert set(Page.__annotations__) == FIELDS - SUBJECT
    assert set(RefinedPage.__annotations__) == FIELDS - SUBJECT | {"refine"}


def test_the_command_line_takes_every_field() -> None:
    commands = [cli.commands[name] for name in ("search", "regions", "layout", "again")]
    taken = [{option.name for option in command.params} & FIELDS for command in commands]
    assert set.union(*taken) | IN_COMMANDS.keys() == FIELDS
    assert not {"words", "pictures", "layout", "examples", "like", "by"} & set.union(*taken)
    for own, missing in zip(taken, ({"refine"}, set(), set(), {"all"}), strict=True):
        assert own >= (FIELDS - SUBJECT) - missing  # `tips again` always shows the nearest


def test_every_route_takes_what_all_take_and_together_they_take_every_field() -> None:
    bodies = [set(body.model_fields) - {"collection"} for body in ROUTES.values()]
    assert all(body >= FIELDS - SUBJECT for body in bodies)
    assert set.union(*bodies) == FIELDS - IN_SERVICE_BY_ROUTE.keys()
    for upload, plain in (
        (uploads.UploadedQuestion, requests.Question),
        (uploads.UploadedPlaceQuestion, requests.PlaceQuestion),
    ):
        assert set(upload.model_fields) == {*plain.model_fields, "picture"}


@pytest.mark.parametrize("route", ROUTES)
def test_the_schema_of_a_body_is_that_of_the_class_within_limits(route: str) -> None:
    whole = Request.model_json_schema()["properties"]
    own = ROUTES[route].model_json_schema()["properties"]
    names = {"photo": "like"}  # of one photo
    for name in own.keys() - {"collection"}:
        assert names.get(name, name) in whole, f"{route} has a field of its own: {name}"
        of_class = whole[names.get(name, name)]
        if name not in ("photo", "filter"):
            assert own[name].get("description", "").startswith(of_class["description"])
    assert ROUTES[route].model_config["extra"] == "forbid"


ASKED: dict[str, Request] = {
    "search": Request(words="dog left of car", like=(A,), unlike=(B,), **NEXT),
    "regions": Request(words="dog", like=(A,), by="places", refine=True, **WHICH),
    "similar": Request(like=(A,), box=BOX, **WHICH),
    "layout": Request(layout=(PlacedThing("dog", BOX),), refine=True, **WHICH),
    "find-again": Request(
        examples=(Example(A, box=BOX), Example(B, point=(0.5, 0.25), positive=False)), **WHICH
    ),
}


def sent(asked: Request) -> httpx.Request:
    """What the client sends for a request."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        empty = {"collection": "", "query": "", "model": "", "notes": [], "hits": []}
        return httpx.Response(
            200, json=empty | dict.fromkeys(("confident", "searched", "offset"), 0)
        )

    with Client("http://service.example") as client:
        client._http = httpx.Client(
            base_url="http://service.example", transport=httpx.MockTransport(answer)
        )
        client.ask(asked)
    return seen[0]


@pytest.mark.parametrize("route", ROUTES)
def test_what_the_client_sends_is_read_as_the_same_request(route: str) -> None:
    request = sent(ASKED[route])
    assert request.url.path == f"/v1/{route}"
    read = ROUTES[route].model_validate_json(request.content)
    for name in FIELDS - {"layout", "examples"}:
        if name != "by" or route in ("search", "regions"):
            assert getattr(read, name) == getattr(ASKED[route], name), name
    assert [(t.text, t.box) for t in read.layout] == [(t.text, t.box) for t in ASKED[route].layout]
    assert list(map(str, read.examples)) == list(map(str, ASKED[route].examples))
    assert [e.positive for e in read.examples] == [e.positive for e in ASKED[route].examples]
    assert read.finds_places == ASKED[route].finds_places


def test_the_client_sends_every_field() -> None:
    fields = set.union(*(said(asked) for asked in ASKED.values()))
    assert fields == FIELDS - {"pictures", "exact"}  # one is sent as a file, one is refused


def test_the_client_sends_a_picture_along(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(file)
    asked = Request(words="dog", like=(A, B), pictures=(ImageTerm(file),), by="places", all=True)
    request = sent(asked)
    assert request.url.path == "/v1/regions/upload"
    body = request.content
    assert file.read_bytes() in body
    assert all(part in body for part in (A.encode(), B.encode(), b"dog", b"true"))


def test_the_address_says_every_field() -> None:
    place = Place(A, BOX)
    names = {field.name for field in dataclasses.fields(View)}
    assert names - FIELDS == OF_THE_PAGE.keys()
    views = [
        View(q="dog", show="Places", like=(A,), unlike=(B,), filter="date:2021", picture="mine"),
        View(find=(place, Place(B, (0.5, 0.5, 0.5, 0.5), positive=False))),
        View(layout=(PlacedWord("dog", BOX),)),
    ]
    asked = [request(view, Image.new("RGB", (8, 8))) for view in views]
    assert set.union(*map(said, asked)) == FIELDS - IN_ADDRESS.keys()
    assert asked[1].examples[1] == Example(B, point=(0.5, 0.5), positive=False)
