"""The page of collections, run by Streamlit's own test harness."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from indexer.collection import Collection
from tests.ui.conftest import HOSTILE, paint, tips
from ui import jobs, registry
from ui.app.folder_field import Look, count_photos, look
from ui.app.job_panel import fraction, time_left, words
from ui.app.new_collection import FETCH, FOLDER, MODEL, FormError, Wish, create
from ui.jobs import Job
from ui.registry import register

APP = Path(__file__).with_name("collections_app.py")
SECONDS = 120


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test begins without collections, on a page that manages them."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("TIPS_COLLECTION", raising=False)
    monkeypatch.setenv("TIPS_MANAGE", "1")
    yield
    st.cache_data.clear()
    for entry in registry.known():
        job = jobs.find(entry.path)
        if job is not None and job.active and job.pid is not None:
            os.kill(job.pid, signal.SIGKILL)
            done(entry.path)


@pytest.fixture
def page() -> AppTest:
    """The page, not run yet."""
    return AppTest.from_file(str(APP), default_timeout=120)


def texts(page: AppTest) -> str:
    """Everything that the page says, without the escapes of Markdown."""
    assert not page.exception
    parts = [*page.markdown, *page.caption, *page.info, *page.warning, *page.error]
    html = [block.value for block in page.get("html")]
    return "\n".join([*(str(part.value) for part in parts), *html]).replace("\\", "")


def press(page: AppTest, key: str) -> AppTest:
    """Press a button and run the page."""
    page.button(key=key).click().run()
    assert not page.exception
    return page


def keys(page: AppTest) -> set[str]:
    """The buttons that can be pressed."""
    return {str(button.key) for button in page.button if not button.disabled}


def done(folder: Path) -> Job | None:
    """The job when its process is gone."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        job = jobs.find(folder)
        if job is None or not job.active:
            return job
        time.sleep(0.05)
    pytest.fail("the job does not end")


def some(folder: Path, count: int = 3) -> Path:
    """A folder of a few painted photos."""
    for seed in range(count):
        paint(folder / f"{seed}.jpg", seed)
    return folder


def test_the_first_collection_is_made_from_a_folder(tmp_path: Path, page: AppTest) -> None:
    photos = some(tmp_path / "Our *photos*")
    (photos / HOSTILE).write_bytes(b"no picture")
    assert "No collections yet" in texts(page.run())
    page.text_input(key=FOLDER).set_value(str(photos)).run()
    assert "4 photos in this folder" in texts(page)
    page.selectbox(key=MODEL).set_value("nano").run()
    assert "the small bundled model" in texts(page)
    press(page, "new-create")
    (entry,) = registry.known()
    assert (entry.name, entry.title) == ("our-photos", "Our *photos*")
    assert entry.folder == str(tmp_path / "home" / "tips-search" / "collection")
    job = done(entry.path)
    assert job is not None
    assert job.state == "done", job.error
    said = texts(page.run())
    assert ">Our *photos*<" in said
    assert "3 photos · 1 could not be read · nano" in said
    assert "Done: 3 new, 1 could not be read." in said
    assert str(photos) in said
    assert not page.text_input.values or page.text_input(key=FOLDER).value == ""
    press(page, "Dismiss-our-photos")
    assert jobs.find(entry.path) is None
    page.session_state["failures-our-photos"] = True
    said = texts(page.run())
    assert "&lt;img src=x onerror=alert(1)&gt;" in said
    assert "<img" not in said


def test_what_is_missing_in_the_form_is_said(tmp_path: Path, page: AppTest) -> None:
    page.run()
    press(page, "new-create")
    assert "Choose a folder of photos." in texts(page)
    page.text_input(key=FOLDER).set_value(str(tmp_path / "none")).run()
    press(page, "new-create")
    assert page.error[0].value.replace("\\", "") == f"There is no folder {tmp_path / 'none'}."
    assert not registry.known()


def test_a_model_that_is_not_here_shows_its_size_and_asks_first(
    tmp_path: Path, page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPS_CACHE", str(tmp_path / "models"))
    page.run()
    page.text_input(key=FOLDER).set_value(str(some(tmp_path / "photos", 1))).run()
    model = page.selectbox(key=MODEL)
    assert "tipsv2-b14 (0.8 GB to download)" in model.options
    assert "nano (bundled)" in model.options
    assert page.checkbox(key=FETCH).label.startswith("Download 0.8 GB")
    press(page, "new-create")
    assert "allow the download of 0.8 GB" in texts(page)
    assert not registry.known()


def test_the_subfolders_of_what_is_typed_are_offered(tmp_path: Path, page: AppTest) -> None:
    for name in ("Paris", "Prague", "Rome", ".hidden"):
        some(tmp_path / "photos" / name, 1)
    page.run()
    page.text_input(key=FOLDER).set_value(f"{tmp_path}/photos").run()
    go = f"{FOLDER}-go-{tmp_path}/photos/"
    assert {key for key in keys(page) if key.startswith(go)} == {
        go + name for name in ("Paris", "Prague", "Rome")
    }
    press(page, f"{go}Rome")
    assert page.text_input(key=FOLDER).value == f"{tmp_path}/photos/Rome"
    assert "1 photo in this folder" in texts(page)


def test_looking_at_what_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    photos = some(tmp_path / "Photos", 2)
    (tmp_path / "other").mkdir()
    (tmp_path / "a.txt").touch()
    inside = (str(tmp_path / "other"), str(photos))
    assert look("") == Look(inside=inside)
    assert look("~") == look(f" {tmp_path}/ ") == Look(str(tmp_path), inside)
    assert look("~/Photos") == Look(str(photos))
    assert look("~/pho") == Look(
        inside=(str(photos),), problem=f"There is no folder {tmp_path}/pho."
    )
    assert "full path" in look("Photos").problem
    assert "is a file" in look("~/a.txt").problem
    assert look("/\0").problem == look("/\ud800").problem == "Not a valid path."
    assert str(count_photos(str(photos))) == "2 photos"
    monkeypatch.setattr("ui.app.folder_field.MOST_PHOTOS", 0)
    count_photos.clear()
    assert str(count_photos(str(photos))) == "more than 2 photos"


def test_a_second_collection_of_the_same_name_is_refused(tmp_path: Path) -> None:
    photos = some(tmp_path / "photos", 1)
    register(tmp_path / "x", "Trip")
    with pytest.raises(FormError, match="called trip already"):
        create(Wish(str(photos), "trip", "nano"))
    with pytest.raises(FormError, match="no photos"):
        create(Wish(str(tmp_path / "home"), "empty", "nano"))
    with pytest.raises(FormError, match="no model"):
        create(Wish(str(photos), "other", "../../nano"))
    assert [entry.title for entry in registry.known()] == ["Trip"]


def test_collections_are_switched_and_the_address_says_which(tmp_path: Path, page: AppTest) -> None:
    photos = some(tmp_path / "photos", 1)
    for name in ("one", "two"):
        assert tips("index", photos, "--model", "nano", "-c", tmp_path / name).exit_code == 0
    page.run()
    assert "in" not in page.query_params
    press(page, "open-collection-two")
    assert page.query_params["in"] == "two"
    again = AppTest.from_file(str(APP), default_timeout=120)
    again.query_params["in"] = "../../etc"
    assert "There is no collection '../../etc' here" in texts(again.run())


def test_update_rebuild_and_add_a_folder(tmp_path: Path, page: AppTest) -> None:
    photos, more = some(tmp_path / "photos", 2), tmp_path / "more"
    folder = tmp_path / "trip"
    assert tips("index", photos, "--model", "nano", "-c", folder).exit_code == 0
    paint(photos / "new.jpg", 50)
    press(page.run(), "Update now-trip")
    assert not {"Update now-trip", "Rebuild-trip", "forget-trip"} & keys(page)
    done(folder)
    assert "Done: 1 new, 2 unchanged." in texts(page.run())
    press(page, "Rebuild-trip")
    done(folder)
    assert "Rebuilt: 3 photos are searchable." in texts(page.run())
    paint(more / "1.jpg", 60)
    page.session_state["add-trip"] = True
    page.run()
    page.text_input(key="more-trip").set_value(str(more)).run()
    press(page, "more-go-trip")
    done(folder)
    assert Collection.open(folder).roots == (str(more), str(photos))
    assert "4 photos" in texts(page.run())


def test_a_refused_action_says_why(tmp_path: Path, page: AppTest) -> None:
    folder = tmp_path / "trip"
    photos = some(tmp_path / "photos", 1)
    assert tips("index", photos, "--model", "nano", "-c", folder).exit_code == 0
    page.run()
    with Collection.open(folder).lock():
        press(page, "Update now-trip")
    assert f"is being written by process {os.getpid()}" in texts(page)
    assert "is being written" not in texts(page.run())


def test_a_collection_that_is_gone_can_be_forgotten(tmp_path: Path, page: AppTest) -> None:
    folder = tmp_path / "trip"
    photos = some(tmp_path / "photos", 1)
    assert tips("index", photos, "--model", "nano", "-c", folder).exit_code == 0
    folder.rename(tmp_path / "away")
    assert f"There is no collection in {folder}" in texts(page.run())
    assert "open-collection-trip" not in keys(page)
    press(page, "forget-trip")
    assert not registry.known()
    assert Collection.exists(tmp_path / "away")


def test_a_failed_start_can_be_tried_again_or_dropped(tmp_path: Path, page: AppTest) -> None:
    photos = some(tmp_path / "photos", 1)
    entry = create(Wish(str(photos), "Trip", "nano"))
    jobs.cancel(entry.path)
    done(entry.path)
    jobs.start_index(entry.path, [str(tmp_path / "gone")], model="nano")
    done(entry.path)
    assert "does not exist or is empty" in texts(page.run())
    press(page, "Try again-trip")
    done(entry.path)
    page.run()
    press(page, "Cancel-trip")
    assert not registry.known() or entry.present


def test_a_page_that_others_reach_shows_its_own_collection_and_no_paths(
    tmp_path: Path, page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = some(tmp_path / "photos", 1)
    (photos / "broken.jpg").touch()
    for name in ("shown", "private"):
        assert tips("index", photos, "--model", "nano", "-c", tmp_path / name).exit_code == 0
    monkeypatch.setenv("TIPS_MANAGE", "0")
    monkeypatch.setenv("TIPS_COLLECTION", str(tmp_path / "shown"))
    said = texts(page.run())
    assert "on the machine that serves this page" in said
    assert ">shown<" in said
    assert "private" not in said
    assert str(tmp_path) not in said
    assert keys(page) == {"open-collection-shown"}
    assert not page.text_input
    page.query_params["in"] = "private"
    assert "There is no collection 'private' here" in texts(page.run())
    shutil.rmtree(tmp_path / "shown")
    other = AppTest.from_file(str(APP), default_timeout=120)
    assert str(tmp_path) not in texts(other.run())


def test_a_broken_list_is_a_sentence_and_the_started_collection_stays(
    tmp_path: Path, page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "trip"
    photos = some(tmp_path / "photos", 1)
    assert tips("index", photos, "--model", "nano", "-c", folder).exit_code == 0
    monkeypatch.setenv("TIPS_COLLECTION", str(folder))
    registry.registry_file().write_text("{")
    said = texts(page.run())
    assert "The list of collections" in said
    assert ">trip<" in said
    registry.registry_file().unlink()


def test_a_job_in_words() -> None:
    def job(state: jobs.State = "running", **values: object) -> Job:
        facts = {"folder": "/c", "command": "index", "pid": 1, "started": 0.0}
        return Job(**(facts | {"state": state} | values))

    counts = {"done": 1200, "total": 30_000, "failed": 3, "rate": 12.34, "eta": 2400.0}
    assert words(job()) == "Starting …"
    assert words(job(stage="scan", done=1)) == "Looking for photos: 1 photo"
    assert words(job(stage="fetch", done=2 * 10**8, total=784 * 10**6)) == (
        "Downloading the model: 0.2 of about 0.8 GB"
    )
    assert words(job(stage="index", **counts)) == (
        "Reading the photos: 1,200 of 30,000 photos · 3 could not be read · 12.3 photos/s · 40 "
        "min left"
    )
    assert fraction(job(stage="index", **counts)) == 0.04
    assert fraction(job(done=5)) is None
    assert fraction(job(done=5, total=4)) == 1.0
    assert words(job("paused", **counts)) == "Paused at 1,200 of 30,000 photos."
    assert "Resume to continue" in words(job("stopped", **counts))
    assert words(job("failed", error="The disk is full.")) == "The disk is full."
    assert words(job("done", report={"missing_roots": ["/a"]})) == (
        "Done: nothing to do. 1 folder missing; their photos stay in the collection."
    )
    kept = {"away": [["/a/disk", 5]], "held": [["/b", 40]], "reread": 2}
    assert words(job("done", report=kept)) == (
        "Done: 2 reread. 1 folder missing; their photos stay in the collection. 40 files of /b are "
        "gone, more than a third; their photos stay in the collection. If you deleted them, run "
        "`tips prune`."
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (3, "less than a minute"),
        (100, "2 min"),
        (3599, "1 h 0 min"),
        (7500, "2 h 5 min"),
        (3 * 86_400, "3 days"),
    ],
)
def test_time_left_in_words(seconds: float, said: str) -> None:
    assert time_left(seconds) == said
