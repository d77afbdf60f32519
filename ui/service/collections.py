"""Routes for collections: list, status and facets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Query

from search.browse.facets import FacetValue, Folder, facets, folder, narrowed, subfolders
from search.browse.selection import Choices
from ui.live_collection import LiveCollection, State
from ui.service.context import V1, Given, InCollection
from ui.service.requests import FilterText
from ui.service.responses import CollectionSummary, Facets, Status, Value
from ui.service.settings import MOST_VALUES

router = APIRouter(prefix=V1, tags=["collections"])


@router.get("/collections")
async def collections(given: Given) -> list[CollectionSummary]:
    """The collections of this service, the default one first."""
    return [_summary(given.engines.all[0], engine) for engine in given.engines.all]


@router.get("/status")
async def status(given: Given, collection: InCollection = None) -> Status:
    """What a collection contains, and how much of it is searchable."""
    engine = given.engines.get(collection)

    def work(state: State) -> Status:
        counts, searcher, opened = state.catalog.counts(), state.searcher, state.collection
        return Status(
            **_summary(given.engines.all[0], engine).model_dump(),
            photos=counts["ok"],
            failed=counts["failed"],
            images=searcher.count("images"),
            regions=searcher.count("regions"),
            revision=searcher.revision,
            model=opened.model.name,
            model_id=opened.model.model_id,
            tiles=opened.tiles,
            max_regions=opened.max_regions,
            engine=opened.engine["kind"],
            roots=list(opened.roots),
        )

    return await given.read(collection, work)


@router.get("/facets")
async def facet_values(
    given: Given,
    collection: InCollection = None,
    filter: Annotated[FilterText, Query()] = "",
    limit: Annotated[
        int, Query(ge=1, le=MOST_VALUES, description="Maximum number of values per field.")
    ] = 100,
    inside: Annotated[
        str,
        Query(
            alias="folder",
            max_length=4096,
            description="The folder whose subfolders are counted; by default, the collection's "
            "roots are counted.",
        ),
    ] = "",
) -> Facets:
    """Count the cameras, lenses, types, years, months and folders of the photos under a filter."""
    engine = given.engines.get(collection)

    def work(state: State) -> Facets:
        index, roots = state.index, state.collection.roots
        rows = narrowed(index, Choices(rest=filter))
        found = facets(index, Choices(), rows, limit)
        months = [Value(value=each.name, count=each.count) for each in index.months(rows)]
        below = (
            [
                each
                for meant in index.spelled("folders", [inside])
                for each in subfolders(index, meant, rows)
            ]
            if inside
            else [folder(index, root, rows) for root in roots]
        )
        return Facets(
            collection=engine.name,
            photos=len(rows),
            undated=index.undated(rows),
            cameras=_values(found["cameras"]),
            lenses=_values(found["lenses"]),
            types=_values(found["types"]),
            years=_values(found["years"]),
            months=months[:limit],
            folders=_folders(below)[:limit],
        )

    return await given.read(collection, work)


def _summary(default: LiveCollection, engine: LiveCollection) -> CollectionSummary:
    return CollectionSummary(
        name=engine.name,
        title=engine.title,
        default=engine is default,
        ready=engine.ready,
        problem="" if engine.ready else engine.problem,
    )


def _values(values: Iterable[FacetValue]) -> list[Value]:
    return [Value(value=each.value, count=each.count) for each in values]


def _folders(folders: Iterable[Folder]) -> list[Value]:
    return [Value(value=each.path, count=each.count) for each in folders]
