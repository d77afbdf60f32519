"""The panel of an indexing job: its progress in words and as a bar, with buttons to control it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from tips_model.errors import TipsError
from ui import jobs
from ui.formatting import counted, plain, shown
from ui.jobs import Job
from ui.registry import Known, forget

SECONDS = 1.0  # between two polls of a running job
STAGES = {
    "": "Starting",
    "scan": "Looking for photos",
    "fetch": "Downloading the model",
    "load": "Loading the model",
    "index": "Reading the photos",
    "publish": "Making the photos searchable",
    "tidy": "Tidying up",
}
ICONS = {
    "running": "hourglass_top",
    "stopping": "hourglass_bottom",
    "failed": "error",
    "done": "check_circle",
}
REPORTED = ("new", "modified", "moved", "copied", "removed", "unchanged", "reread")


def show_job(entry: Known, *, manage: bool) -> None:
    """Draw the last job of a collection, if there is one, and update it while it runs."""
    job = jobs.find(entry.path)
    if job is not None and (manage or job.active):
        every = SECONDS if job.active else None
        st.fragment(_panel, run_every=every, key=f"job-{entry.name}")(
            entry, manage=manage, drawn=(job.active, entry.present)
        )


def _panel(entry: Known, *, manage: bool, drawn: tuple[bool, bool]) -> None:
    """`drawn`: whether the job was running and the collection existed when the page was drawn."""
    job = jobs.find(entry.path)
    if job is None or (job.active, entry.present) != drawn:
        st.rerun()  # rerun the whole page: its other parts are outdated
    share = fraction(job) if job.active else None
    if share is not None:
        st.progress(share, text=plain(words(job)))
    with st.container(
        key=f"job-{entry.name}", horizontal=True, vertical_alignment="center", gap="small"
    ):
        if share is None:
            icon = ICONS.get(job.state, "pause_circle")
            st.markdown(f":material/{icon}: {plain(words(job))}", width="content")
        if manage:
            _buttons(entry, job)


def _buttons(entry: Known, job: Job) -> None:
    if job.state == "running" and job.command == "index":
        _button("Pause", "pause", entry, jobs.pause)
    if job.state in ("paused", "stopped", "failed"):
        again = "Try again" if job.state == "failed" else "Resume"
        _button(again, "play_arrow", entry, jobs.resume)
    if job.state == "done":
        _button("Dismiss", "close", entry, jobs.dismiss)
    elif job.state == "stopping":
        _button("Stop now", "stop", entry, jobs.cancel)
    else:
        _button("Cancel", "close", entry, lambda folder: _cancel(entry, folder))


def _button(label: str, icon: str, entry: Known, act: Callable[[Path], object]) -> None:
    if st.button(label, key=f"{label}-{entry.name}", icon=f":material/{icon}:"):
        try:
            act(entry.path)
        except TipsError as error:
            st.session_state[said_key(entry)] = str(error)
        st.rerun()


def said_key(entry: Known) -> str:
    """The session key of the last failed action on a collection."""
    return f"collection-said-{entry.name}"


def _cancel(entry: Known, folder: Path) -> None:
    jobs.cancel(folder)
    if not entry.present and jobs.find(folder) is None:
        forget(entry.name)  # the job created no collection


def fraction(job: Job) -> float | None:
    """How much of the job is done, in [0, 1]; None while unknown."""
    if not job.total:
        return None
    return min(max(job.done / job.total, 0.0), 1.0)


def words(job: Job) -> str:
    """The state of the job, as a sentence."""
    if job.state == "failed":
        return job.error
    if job.state == "done":
        return _done(job)
    if job.state == "stopping":
        return "Stopping after the current batch …"
    if job.state == "paused":
        return f"Paused{_at(job)}."
    if job.state == "stopped":
        reason = f" {job.error}" if job.error else ""
        return f"Stopped{_at(job)}: its process ended. Resume to continue.{reason}"
    stage = STAGES.get(job.stage, job.stage)
    return " · ".join([f"{stage}{_counts(job)}", *_pace(job)])


def _counts(job: Job) -> str:
    if job.stage == "fetch" and job.total:
        return f": {job.done / 1e9:.1f} of about {job.total / 1e9:.1f} GB"
    if job.total is not None:
        return f": {job.done:,} of {counted(job.total, 'photo')}"
    return f": {counted(job.done, 'photo')}" if job.done else " …"


def _pace(job: Job) -> list[str]:
    failed = f"{job.failed:,} could not be read" if job.failed else ""
    rate = f"{job.rate:,.1f} photos/s" if job.rate else ""
    left = f"{time_left(job.eta)} left" if job.eta is not None and job.done else ""
    return [part for part in (failed, rate, left) if part]


def _at(job: Job) -> str:
    return f" at {job.done:,} of {counted(job.total, 'photo')}" if job.total else ""


def _done(job: Job) -> str:
    report = job.report or {}
    if job.command == "rebuild":
        return f"Rebuilt: {counted(report['published'], 'photo')} are searchable."
    parts = [f"{report[name]:,} {name}" for name in REPORTED if report.get(name)]
    if report.get("failed"):
        parts.append(f"{report['failed']:,} could not be read")
    missing = [*(report.get("missing_roots") or ()), *(report.get("away") or ())]
    sentence = f"Done: {', '.join(parts) or 'nothing to do'}."
    if missing:
        folders = counted(len(missing), "folder")
        sentence += f" {folders} missing; their photos stay in the collection."
    for place, count in report.get("held") or ():
        sentence += (
            f" {count:,} files of {shown(place)} are gone, more than a third; their photos stay "
            "in the collection. If you deleted them, run `tips prune`."
        )
    return sentence


def time_left(seconds: float) -> str:
    """A duration for people: less than a minute, 12 min, 2 h 5 min, 3 days."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} days"
