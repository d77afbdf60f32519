"""Picture upload: the user chooses, drops or pastes a picture."""

from __future__ import annotations

import base64
import binascii

import streamlit as st
from PIL import Image

from indexer.errors import DecodeError
from indexer.photos.decoder_pool import decode_untrusted
from search.errors import QueryError
from ui.app.components.assets import text
from ui.app.components.edits import ignore, last_edit

SIDE = 448  # pixels: as much as an encoder uses
MOST_CHARACTERS = 36_000_000  # characters of base64 for 25 MB

_HTML = """
<div class="root">
  <button type="button" class="zone">
    <span>Paste a picture, drop it here, or choose a file</span>
    <small>Used for this search only, not stored.</small>
  </button>
  <input type="file" accept="image/*,.heic,.heif,.dng,.cr2,.cr3,.nef,.arw" tabindex="-1"
    aria-label="Picture file">
  <p class="said" role="status"></p>
</div>
"""
_picture = st.components.v2.component(
    "tips.picture",
    html=_HTML,
    css=text("common.css") + text("picture.css"),
    js=text("common.js") + text("picture.js"),
)


def take_picture(key: str) -> Image.Image | None:
    """The picture that was just uploaded, upright RGB; None when there is none. Raises `QueryError`
    for a file that cannot be read.
    """
    given = last_edit(key, "picture")
    _picture(key=key, on_picture_change=ignore)
    given.seen()
    return None if given.value is None else read_picture(given.value)


def read_picture(value: object) -> Image.Image:
    """The picture in a `data:` URL from the browser. Raises `QueryError` when there is none."""
    if not isinstance(value, str) or len(value) > MOST_CHARACTERS or ";base64," not in value:
        raise QueryError("Not a picture, or larger than 25 MB; choose another file.")
    try:
        content = base64.b64decode(value.partition(";base64,")[2], validate=True)
        return decode_untrusted(content, target=SIDE).image
    except (binascii.Error, DecodeError) as error:
        reason = error.reason if isinstance(error, DecodeError) else "it arrived damaged"
        raise QueryError(f"The file cannot be read as a picture: {reason}.") from error
