"""`tips again`: find what a box or a click in an indexed photo shows, in all other photos."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from search.query import Example
from search.request import Page, Request
from ui.commands.search import (
    check_draw,
    draw_option,
    open_searcher,
    refine_option,
    show_places,
)
from ui.options import Command, Show, result_options

if TYPE_CHECKING:
    from search.searcher import Searcher


def _place(name: str, form: str, what: str) -> Callable[[Command], Command]:
    return click.option(name, multiple=True, metavar=f"[PHOTO@]{form}", help=what)


@click.command()
@click.argument("photo")
@_place("--box", "X0,Y0,X1,Y1", "What to find is in this box, in PHOTO unless you name another.")
@_place("--point", "X,Y", "What to find is at this point.")
@_place("--not-box", "X0,Y0,X1,Y1", "What not to find.")
@_place("--not-point", "X,Y", "What not to find.")
@draw_option
@refine_option
@partial(result_options, without=("all",))
@click.pass_context
def again(
    ctx: click.Context,
    photo: str,
    box: tuple[str, ...],
    point: tuple[str, ...],
    not_box: tuple[str, ...],
    not_point: tuple[str, ...],
    draw_folder: Path | None,
    refine: bool | None,
    show: Show,
    device: str,
    collection: Path,
    **page: Unpack[Page],
) -> None:
    """Find what a box or a click in PHOTO shows, in all other photos; the nearest come first.

    PHOTO is the id or the path of an indexed photo. Places are fractions of the upright picture
    from its left top corner; each option may be given several times.

    \b
    Example:
      tips again beach.jpg --point 0.4,0.6 --draw hits/
      tips again a.jpg --box 0.1,0.2,0.4,0.5 --box b.jpg@0,0,0.5,0.5 --not-point 0.8,0.1
    """
    from search.find_again import check

    check_draw(draw_folder)
    searcher = open_searcher(collection, device)
    given = ((box, 4, True), (point, 2, True), (not_box, 4, False), (not_point, 2, False))
    examples = [
        read_example(searcher, photo, text, size, positive)
        for texts, size, positive in given
        for text in texts
    ]
    check(examples)
    asked = Request(examples=tuple(examples), **(page | Page(all=True)))
    show_places(ctx, searcher, asked, refine, show, draw_folder)


def read_example(searcher: Searcher, photo: str, text: str, size: int, positive: bool) -> Example:
    """An example from `[PHOTO@]numbers`, 4 numbers for a box and 2 for a point; raises `QueryError`
    for anything else.
    """
    from search.errors import QueryError

    other, _, numbers = text.rpartition("@")
    try:
        values = tuple(float(number) for number in numbers.split(","))
    except ValueError:
        values = ()
    if len(values) != size:
        form = "a box is four numbers, x0,y0,x1,y1" if size == 4 else "a point is two numbers, x,y"
        raise QueryError(f"'{text}' cannot be read: {form}, fractions from 0 to 1.")
    image = searcher.photo_id(other or photo)
    if len(values) == 4:
        return Example(image, box=values, positive=positive)
    assert len(values) == 2
    return Example(image, point=values, positive=positive)
