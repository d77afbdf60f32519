"""Routes for index jobs. Each collection has at most one job, identified by the collection's name.

Jobs are separate processes (`ui/jobs.py`): they keep running when the service ends.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi import Path as InPath
from fastapi.sse import EventSourceResponse, ServerSentEvent

from indexer.collection import Collection
from indexer.folders.paths import is_under, to_bytes, to_text
from indexer.folders.roots import as_listed
from indexer.folders.storage import is_url
from ui import jobs
from ui.live_collection import LiveCollection
from ui.service.context import V1, Given, Service, json_only, service_of
from ui.service.problems import Problem
from ui.service.requests import JobQuestion
from ui.service.responses import IndexJob
from ui.service.settings import MOST_STREAMS

router = APIRouter(prefix=f"{V1}/jobs", tags=["jobs"])
LOOK = 0.25  # seconds between two polls of a followed job
Named = Annotated[
    str, InPath(max_length=100, description="The collection that the job belongs to.")
]


@router.post("", status_code=202, dependencies=[Depends(json_only)])
async def start_job(
    asked: JobQuestion, given: Given, request: Request, response: Response
) -> IndexJob:
    """Index folders into a collection, in the background.

    Requires `--allow-index`, and accepts only folders below those that it names. Without folders in
    the request, the job updates those of the collection, which must be below them too.
    """
    engine = given.engines.get(asked.collection)
    _check_allowed(given)

    def work() -> IndexJob:
        roots = _below(asked.folders, given.settings.index_roots)
        if not roots:
            _check_known(engine, given.settings.index_roots)
        job = jobs.start_index(engine.folder, roots, retry_failed=asked.retry_failed)
        return IndexJob.of(engine.name, job)

    started = await given.readers.run(work)
    response.headers["Location"] = f"{request.url.path.rstrip('/')}/{engine.name}"
    return started


@router.get("")
async def list_jobs(given: Given) -> list[IndexJob]:
    """The last job of each collection that has one."""

    def work() -> list[IndexJob]:
        found = [(engine.name, jobs.find(engine.folder)) for engine in given.engines.all]
        return [IndexJob.of(name, job) for name, job in found if job is not None]

    return await given.readers.run(work)


@router.get("/{collection}")
async def show_job(collection: Named, given: Given) -> IndexJob:
    """The progress of a collection's job."""
    return await _job(given, given.engines.get(collection))


@router.delete("/{collection}", status_code=202)
async def cancel_job(collection: Named, given: Given) -> IndexJob:
    """Ask the job to stop, or forget it if it has ended; the photos indexed so far are kept."""
    engine = given.engines.get(collection)
    _check_allowed(given)
    await _job(given, engine)

    def work() -> IndexJob:
        before = jobs.find(engine.folder)
        if before is None:
            raise _none(engine)
        jobs.cancel(engine.folder)
        return IndexJob.of(engine.name, jobs.find(engine.folder) or before)

    return await given.readers.run(work)


async def followed(collection: Named, given: Given) -> AsyncIterator[LiveCollection]:
    """The collection whose job is followed, checked before the response begins. Raises `Problem`
    404 without a job, and 503 when too many clients are following jobs.
    """
    engine = given.engines.get(collection)
    await _job(given, engine)
    if given.streams >= MOST_STREAMS:
        raise Problem(
            503,
            "overloaded",
            "Too many clients are following jobs already.",
            headers={"Retry-After": "5"},
        )
    given.streams += 1
    try:
        yield engine
    finally:
        given.streams -= 1


@router.get("/{collection}/events", response_class=EventSourceResponse)
async def follow_job(
    engine: Annotated[LiveCollection, Depends(followed)], request: Request
) -> AsyncIterator[ServerSentEvent]:
    """Follow a job as server-sent events: `progress` on every change, and finally `end`, with the
    job as it ended, or with `null` if it was cancelled.
    """
    given = service_of(request)
    last = None
    while not given.ending():
        job = await given.readers.run(lambda: jobs.find(engine.folder))
        if job is None:
            yield ServerSentEvent(event="end", raw_data="null")  # without data it is not an event
            return
        now = IndexJob.of(engine.name, job)
        if not job.active:
            yield ServerSentEvent(event="end", data=now)
            return
        if now != last:
            last = now
            yield ServerSentEvent(event="progress", data=now)
        await asyncio.sleep(LOOK)


async def _job(given: Service, engine: LiveCollection) -> IndexJob:
    job = await given.readers.run(lambda: jobs.find(engine.folder))
    if job is None:
        raise _none(engine)
    return IndexJob.of(engine.name, job)


def _none(engine: LiveCollection) -> Problem:
    return Problem(404, "no-job", f"The collection {engine.name} has no job.", field="collection")


def _check_allowed(given: Service) -> None:
    if not given.settings.index_roots:
        raise Problem(
            403,
            "index-not-allowed",
            "Index jobs are not allowed here; start the service with --allow-index DIR.",
        )


def _check_known(engine: LiveCollection, allowed: Sequence[Path]) -> None:
    """Reject updating all known folders if some of them may not be indexed here."""
    known = [
        root
        for root in Collection.open(engine.folder).roots
        if is_url(root) or os.path.isdir(to_bytes(root))
    ]
    try:
        _below(known, allowed)
    except Problem as problem:
        raise Problem(
            403,
            "folder",
            "The collection has folders that may not be indexed here; name the folders to index.",
            field="folders",
        ) from problem


def _below(folders: Sequence[str], allowed: Sequence[Path]) -> list[str]:
    """The folders with symbolic links resolved, all of them below an allowed one."""
    roots = [to_text(os.fsencode(os.path.realpath(root))) for root in allowed]
    found = []
    for number, folder in enumerate(folders):
        field = f"folders.{number}"
        try:
            around = next((root for root in roots if is_under(folder, root)), None)
            path = to_bytes(folder if around is None else as_listed(folder, around))
            real = os.path.realpath(path)
        except ValueError as error:  # a NUL, or half of a surrogate pair
            raise Problem(422, "folder", "Not a valid path.", field=field) from error
        # The answer does not reveal whether a folder outside exists.
        if not os.path.isabs(path) or not any(is_under(to_text(real), root) for root in roots):
            raise Problem(
                403, "folder", "This folder is not below one that may be indexed.", field=field
            )
        if not os.path.isdir(real):
            raise Problem(422, "folder", "There is no such folder.", field=field)
        found.append(to_text(real))
    return found
