"""Routes for single photos: facts, pictures, heat maps. A photo is identified by its id only: no
path ever comes from outside.
"""

from __future__ import annotations

import io
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from search.scenes.language import refuse_files
from ui.live_collection import State
from ui.pictures import FOREVER
from ui.service.context import V1, Given, InCollection, Responses, json_only
from ui.service.problems import Problem
from ui.service.requests import HeatQuestion, PhotoId
from ui.service.responses import PhotoFacts, PhotoFile

router = APIRouter(prefix=f"{V1}/photos/{{photo}}", tags=["photos"])
Named = Annotated[PhotoId, Path()]
PLAIN_FACTS = tuple(name for name in PhotoFacts.model_fields if name != "files")
_WEBP: Responses = {
    200: {"content": {"image/webp": {"schema": {"type": "string", "format": "binary"}}}}
}
_JPEG: Responses = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}
_PNG: Responses = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.get("")
async def photo_facts(photo: Named, given: Given, collection: InCollection = None) -> PhotoFacts:
    """The metadata of a photo: files, size, camera, date, location."""

    def work(state: State) -> PhotoFacts:
        row = _row(state, photo)
        files = [PhotoFile(path=file["path"], size=file["size"]) for file in row["files"]]
        return PhotoFacts(files=files, **{name: row[name] for name in PLAIN_FACTS})

    return await given.read(collection, work)


@router.get("/thumbnail", response_class=Response, responses=_WEBP)
async def thumbnail(
    photo: Named, given: Given, request: Request, collection: InCollection = None
) -> Response:
    """A thumbnail of the photo: WebP, 320 pixels on the longer side. It never changes."""
    pictures = given.engines.get(collection).pictures

    def work(state: State) -> bytes:
        data = pictures.thumbnail(photo)
        if data is None:
            raise _unknown(photo)
        return data

    data = await given.read(collection, work, "picture")
    return _picture(request, photo, data, "image/webp")


@router.get("/picture", response_class=Response, responses=_JPEG)
async def picture(
    photo: Named, given: Given, request: Request, collection: InCollection = None
) -> Response:
    """The photo reduced to screen size: JPEG, 1400 pixels on the longer side, without EXIF."""
    pictures = given.engines.get(collection).pictures

    def work(state: State) -> bytes:
        _row(state, photo)
        return pictures.large(photo)

    data = await given.search(collection, work, "picture")
    return _picture(request, f"{photo}-large", data, "image/jpeg")


@router.post("/heatmap", response_class=Response, responses=_PNG, dependencies=[Depends(json_only)])
async def heatmap(photo: Named, asked: HeatQuestion, given: Given, request: Request) -> Response:
    """Where the photo shows the words: a transparent PNG to stretch over the photo."""
    request.state.asked = asked.q
    refuse_files(asked.q)

    def work(state: State) -> bytes:
        from PIL import Image

        from ui.overlays import heat_pixels

        _row(state, photo)
        heat = state.searcher.heatmap(photo, asked.q, exact=asked.exact)
        buffer = io.BytesIO()
        Image.fromarray(heat_pixels(heat), "RGBA").save(buffer, "PNG")
        return buffer.getvalue()

    data = await given.search(asked.collection, work, "heatmap")
    return Response(data, media_type="image/png")


def _row(state: State, photo: str) -> dict[str, Any]:
    """The catalog row of a photo. Raises `Problem` 404."""
    rows = state.catalog.photos([photo]).to_dicts()
    if not rows or rows[0]["status"] != "ok":
        raise _unknown(photo)
    return rows[0]


def _unknown(photo: str) -> Problem:
    detail = f"There is no photo with the id {photo} in this collection."
    return Problem(404, "unknown-photo", detail, field="photo")


def _picture(request: Request, tag: str, data: bytes, kind: str) -> Response:
    """The picture, or 304 if the client has it: an id identifies the content, so it
    never changes.
    """
    headers = {**FOREVER, "ETag": f'"{tag}"'}
    asked = request.headers.get("if-none-match", "")
    known = {each.strip().removeprefix("W/") for each in asked.split(",")}
    if known & {f'"{tag}"', "*"}:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=kind, headers=headers)
