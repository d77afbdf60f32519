"""Routes that search with an uploaded picture. Pictures are never fetched from a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, BinaryIO

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from pydantic import ConfigDict, Field

from indexer.photos.limits import Limits
from ui.live_collection import State
from ui.service.context import FORM_TYPE, V1, Given, Service, form_only
from ui.service.problems import Problem
from ui.service.requests import PlaceQuestion, Question
from ui.service.responses import Found
from ui.service.searches import find
from ui.service.settings import MOST_MEMORY, MOST_PIXELS, MOST_SECONDS

if TYPE_CHECKING:
    from PIL import Image

router = APIRouter(prefix=V1, tags=["search"], dependencies=[Depends(form_only)])
ANY_TYPE = "application/octet-stream"
# Otherwise a model of fields is read as a plain form, even one with a file.
AS_FORM = Form(media_type=FORM_TYPE)
Picture = Annotated[
    UploadFile,
    Field(
        description="A picture file: JPEG, PNG, WebP, TIFF, GIF, BMP, HEIC or AVIF. It is used "
        "for this search only, and not stored."
    ),
]


class UploadedQuestion(Question):
    """A search for photos by an uploaded picture, and optionally by words and photos too."""

    model_config = ConfigDict(json_schema_extra={})

    picture: Picture


class UploadedPlaceQuestion(PlaceQuestion):
    """A search for places by an uploaded picture, and optionally by words and photos too."""

    model_config = ConfigDict(json_schema_extra={})

    picture: Picture


@router.post("/search/upload")
async def search_upload(
    asked: Annotated[UploadedQuestion, AS_FORM], given: Given, request: Request
) -> Found:
    """Find photos by an uploaded picture, and optionally by words and photos too."""
    return await _with_picture(given, request, asked, asked.picture)


@router.post("/regions/upload")
async def regions_upload(
    asked: Annotated[UploadedPlaceQuestion, AS_FORM], given: Given, request: Request
) -> Found:
    """Find places by an uploaded picture, and optionally by words and photos too."""
    return await _with_picture(given, request, asked, asked.picture)


async def _with_picture(
    given: Service,
    request: Request,
    asked: UploadedQuestion | UploadedPlaceQuestion,
    upload: UploadFile,
) -> Found:
    kind = (upload.content_type or ANY_TYPE).partition(";")[0].strip().lower()
    if not kind.startswith("image/") and kind != ANY_TYPE:
        raise Problem(
            415, "media-type", f"A picture cannot have the media type {kind}.", field="picture"
        )

    limits = Limits(MOST_PIXELS, given.settings.upload_bytes, MOST_SECONDS, MOST_MEMORY)

    def picture(state: State) -> Image.Image:
        with given.metrics.stage("read"):
            return _opened(upload.file, state.collection.model.image_size, limits)

    return await find(given, request, asked, picture)


def _opened(file: BinaryIO, side: int, limits: Limits) -> Image.Image:
    """The picture, upright, at least about side x side pixels if it has that many. It is decoded in
    a separate process, which may crash.
    """
    from indexer.errors import DecodeError
    from indexer.photos.decoder_pool import decode_untrusted

    try:
        return decode_untrusted(file.read(), target=side, limits=limits).image
    except DecodeError as error:
        detail = f"The picture cannot be read: {error.reason}."
        raise Problem(422, "picture", detail, field="picture") from error
