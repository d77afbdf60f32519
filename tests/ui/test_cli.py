"""The command line on a real collection: exit codes, what goes to stdout, and the JSON contract.

The bundled model's opinions are not tested here, `--all` gives hits whatever it thinks.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from indexer.catalog.rows import Link
from indexer.collection import Collection
from search.hits import Results
from tests.ui.conftest import HOSTILE, paint, tips
from tips_model.registry import NANO_FOLDER
from ui.render import nothing_found

TIPS = [sys.executable, "-c", "from ui.cli import main; main()"]


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run `tips` as a process of its own."""
    return subprocess.run(
        [*TIPS, *map(str, arguments)], capture_output=True, env=os.environ | environment
    )


def test_index_reports_what_it_did_as_json(tmp_path: Path) -> None:
    for seed in range(3):
        paint(tmp_path / "photos" / f"{seed}.jpg", seed)
    (tmp_path / "photos" / "bad.png").write_bytes(b"nothing")
    where = ("-c", tmp_path / "c", "--json")
    first = json.loads(tips("index", tmp_path / "photos", "--model", "nano", *where).stdout)
    assert (first["new"], first["failed"], first["unchanged"]) == (3, 1, 0)
    assert first["seconds"] > 0
    assert first["images_per_second"] > 0
    (tmp_path / "photos" / "0.jpg").rename(tmp_path / "photos" / "moved.jpg")
    (tmp_path / "photos" / "1.jpg").unlink()
    second = json.loads(tips("index", *where).stdout)  # the folders that it knows
    assert (second["moved"], second["removed"], second["unchanged"]) == (1, 1, 2)
    assert second["embedded"] == 0


def test_index_leaves_out_excluded_and_hidden_folders(tmp_path: Path) -> None:
    for folder in ("in", "previews", ".hidden"):
        paint(tmp_path / "photos" / folder / "a.jpg", len(folder))
    index = ("index", tmp_path / "photos", "--model", "nano", "--json")
    without = tips(*index, "--exclude-dir", "previews", "-c", tmp_path / "c1")
    everything = tips(*index, "--include-hidden", "-c", tmp_path / "c2")
    assert json.loads(without.stdout)["new"] == 1
    assert json.loads(everything.stdout)["new"] == 3


def test_a_photo_over_the_pixel_limit_is_refused_with_its_size(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (600, 400)).save(tmp_path / "photos" / "big.png")
    tips(
        *("index", tmp_path / "photos", "--model", "nano", "-c", tmp_path / "c"),
        *("--max-megapixels", "0.2"),
    )
    failed = tips("status", "--failed", "-c", tmp_path / "c")
    assert "600 x 400" in failed.stdout


def test_the_model_and_the_device_are_said_on_stderr(tmp_path: Path) -> None:
    paint(tmp_path / "photos" / "a.jpg", 1)
    result = tips(
        *("index", tmp_path / "photos", "--model", "nano", "-c", tmp_path / "c"),
        *("--device", "cpu", "--json"),
    )
    assert "Model nano on cpu" in result.stderr
    assert json.loads(result.stdout)["new"] == 1


@pytest.mark.parametrize("command", ["search", "regions"])
def test_json_has_the_shape_of_the_contract(collection: Path, photos: Path, command: str) -> None:
    result = tips(command, "red disc", "-c", collection, "--all", "-n", 5, "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert set(answer) == {"query", "model", "total", "next", "hits"}
    assert answer["total"] == 30
    assert answer["query"] == "red disc"
    assert len(answer["hits"]) == 5
    scores = [hit["score"] for hit in answer["hits"]]
    assert scores == sorted(scores, reverse=True)
    for hit in answer["hits"]:
        facts = {"taken", "camera", "latitude", "longitude", "keywords"}
        assert set(hit) == {"id", "path", "score", "confident", "regions"} | facts
        assert Path(hit["path"]).is_relative_to(photos)
        assert len(hit["id"]) == 32
        for region in hit["regions"]:
            x0, y0, x1, y1 = region["box"]
            assert 0 <= x0 < x1 <= 1
            assert 0 <= y0 < y1 <= 1
    if command == "regions":
        assert all(hit["regions"] for hit in answer["hits"])


def test_piped_hits_are_plain_paths_and_offset_pages_through_them(collection: Path) -> None:
    ask = ("search", "disc", "-c", collection, "--all")
    first = tips(*ask, "-n", 4).stdout.splitlines()
    assert [tips(*ask, "-n", 2, "--offset", 2).stdout.splitlines()] == [first[2:]]
    assert all(Path(path).is_file() for path in first)
    assert tips(*ask, "-n", 4, "--paths-only").stdout.splitlines() == first
    assert tips(*ask, "-n", 4, "-0").stdout.split("\0") == [*first, ""]


def test_names_that_are_no_text_come_out_byte_for_byte(tmp_path: Path) -> None:
    name = b"caf\xe9\n.jpg"
    paint(tmp_path / "photos" / "a.jpg", 1)
    os.rename(tmp_path / "photos" / "a.jpg", os.fsencode(tmp_path / "photos") + b"/" + name)
    tips("index", tmp_path / "photos", "--model", "nano", "-c", tmp_path / "c")
    result = run("search", "disc", "--all", "-0", "-c", tmp_path / "c")
    assert result.stdout == os.fsencode(tmp_path / "photos") + b"/" + name + b"\0"


def test_a_filter_narrows_and_an_empty_answer_exits_with_1(collection: Path) -> None:
    ask = ("search", "disc", "-c", collection, "--all", "-n", 100)
    everything = tips(*ask).stdout.splitlines()
    rome = tips(*ask, "--filter", "in:Rome camera:canon").stdout.splitlines()
    assert len(everything) == 30
    assert len(rome) == 5
    assert set(rome) < set(everything)
    nothing = tips(*ask, "--filter", "width:5000..")
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert nothing.stderr.splitlines()[-1] == "No photo matches the filter."


def test_an_empty_page_says_why() -> None:
    found = Results(query="disc", model="m", hits=(), confident=0, searched=0)
    assert nothing_found(found) == "No photo matches the filter."
    found = replace(found, searched=30)
    assert (
        nothing_found(found) == "Nothing found for 'disc' in 30 photos; --all shows weaker matches."
    )
    found = replace(found, confident=3)
    assert nothing_found(found) == "Only 3 photos show 'disc'; there are no more."


def test_a_picture_is_a_query_alone_or_with_words(collection: Path, photos: Path) -> None:
    ask = (
        "search",
        "--image",
        photos / "Rome" / "IMG_0003.jpg",
        "-c",
        collection,
        "--all",
        "--json",
    )
    alone = json.loads(tips(*ask).stdout)
    both = json.loads(tips(*ask, "at", "night").stdout)
    assert alone["query"] == str(photos / "Rome" / "IMG_0003.jpg")
    assert both["query"].startswith("at night + ")
    assert [hit["score"] for hit in alone["hits"]] != [hit["score"] for hit in both["hits"]]


def test_draw_writes_a_picture_for_each_hit(collection: Path, tmp_path: Path) -> None:
    out = tmp_path / "hits"
    result = tips("regions", "disc", "-c", collection, "--all", "-n", 3, "--draw", out)
    assert result.exit_code == 0
    assert len(list(out.glob("*.jpg"))) == 3
    for file in out.iterdir():
        with Image.open(file) as picture:
            assert min(picture.size) >= 112
    assert "older" not in result.stderr
    drawn = sorted(out.iterdir())
    (out / "mine.jpg").touch()
    result = tips("regions", "disc", "-c", collection, "--all", "-n", 1, "--draw", out)
    assert "also holds 2 older pictures of another search." in result.stderr
    assert sorted(out.iterdir()) == [*drawn, out / "mine.jpg"]


def test_other_weights_behind_the_name_are_refused_although_nothing_changed(tmp_path: Path) -> None:
    paint(tmp_path / "photos" / "a.jpg", 1)
    ask = ("index", tmp_path / "photos", "-c", tmp_path / "c", "--model", "nano")
    assert tips(*ask).exit_code == 0
    settings = tmp_path / "c" / "collection.json"
    stated = json.loads(settings.read_text())
    name, weights, rest = stated["model"]["model_id"].split(":", 2)
    stated["model"]["model_id"] = f"{name}:{weights[::-1]}:{rest}"
    settings.write_text(json.dumps(stated))
    result = tips(*ask)
    assert result.exit_code == 2
    assert f"made with nano ({name}:{weights[::-1]}:{rest})" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("search", ""), "The query is empty"),
        (("search", "disc left of"), "character 6: 'left of' needs a thing behind it"),
        (("regions", "disc", "and", "left of square"), "'left of' needs a thing before it"),
        (("regions", ">=99 discs"), "up to 8"),
        (("search", "NOT disc"), "only says what not to show"),
        (("search", "disc left of square", "--image", __file__), "cannot be mixed"),
        (("regions", "disc left of square", "--filter", "colour:red"), "is not a filter field"),
        (("layout", "disc", "0,0,1.2,1"), "not inside the picture"),
        (("layout", "disc", "0,0,1"), "is not a box"),
        (("layout", "disc", "0,0,1,1", "square"), "has no box"),
        (("layout", "", "0,0,1,1"), "The query is empty"),
        (("search", "disc", "--filter", "colour:red"), "is not a filter field"),
        (("search", "disc", "--filter", "date:2021-13"), "not a real date"),
        (("index", ".", "--model", "tipsv2-b14"), "was made with nano, not with tipsv2-b14"),
        (("index", ".", "--tiles", "2"), "was made with --tiles 1, not 2"),
        (("index", ".", "--max-regions", "9"), "was made with --max-regions 16, not 9"),
        (("index", ".", "--qdrant", "http://localhost:1"), "tips rebuild"),
        (("models", "fetch", "nope"), "There are no official files for 'nope'"),
        (("rebuild", "--qdrant", "http://x", "--embedded"), "exclude each other"),
        (("regions", "disc", "--draw", f"{__file__}/x"), "test_cli.py cannot be written"),
        (("search", "disc", "--json", "-0"), "--json and --print0 exclude each other"),
        (("regions", "disc", "--json", "-f"), "--json and --paths-only exclude each other"),
        (("layout", "disc", "0,0,1,1", "-0", "--json"), "--json and --print0 exclude"),
        (("again", "x", "--point", "0,0", "--json", "-0"), "--json and --print0 exclude"),
        (("layout", "disc left of square", "0,0,1,1"), "is more than one thing"),
    ],
)
def test_a_wrong_call_gets_a_sentence_and_exit_code_2(
    collection: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    where = () if arguments[0] == "models" else ("-c", collection)
    result = tips(*arguments, *where)
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_wrong_composition_is_marked_at_its_spot(collection: Path) -> None:
    result = tips("search", "disc", "left of", "-c", collection)
    lines = result.stderr.splitlines()
    assert lines[-2:] == ["disc left of", "     ^^^^^^^"]


@pytest.mark.parametrize("command", ["search", "regions"])
def test_composed_queries_name_the_things_in_their_places(collection: Path, command: str) -> None:
    ask = (command, "disc left of square and not tree", "-c", collection, "--all", "-n", 3)
    answer = json.loads(tips(*ask, "--json").stdout)
    assert answer["query"] == "disc left of square and not tree"
    assert len(answer["hits"]) == 3
    places = [place for hit in answer["hits"] for place in hit["regions"]]
    assert all(set(place) == {"box", "score", "text"} for place in places)
    if command == "regions":
        assert {place["text"] for place in places} == {"disc", "square"}


def test_a_layout_is_asked_in_pairs_of_text_and_box(collection: Path, tmp_path: Path) -> None:
    ask = ("layout", "disc", "0,0,0.5,0.5", "square", "0.5,0.5,1,1", "-c", collection, "--all")
    answer = json.loads(tips(*ask, "-n", 2, "--json", "--draw", tmp_path / "hits").stdout)
    assert answer["query"] == "disc at 0,0,0.5,0.5, square at 0.5,0.5,1,1"
    assert [{place["text"] for place in hit["regions"]} for hit in answer["hits"]] == [
        {"disc", "square"}
    ] * 2
    assert len(list((tmp_path / "hits").glob("*.jpg"))) == 2


def test_a_plain_question_is_answered_as_ever(collection: Path) -> None:
    quoted, plain = (
        json.loads(tips("search", text, "-c", collection, "--all", "--json").stdout)
        for text in ('"a disc and a large square"', "a disc and a large square")
    )
    assert plain.pop("next") != quoted.pop("next")  # which belong to the queries as written
    assert plain == quoted
    assert all(set(r) == {"box", "score"} for h in plain["hits"] for r in h["regions"])


@pytest.mark.parametrize("text", ["犬", "犬 left of square", "🐶"])
def test_a_text_in_another_script_is_refused(collection: Path, text: str) -> None:
    for command in ("search", "regions"):
        result = tips(command, text, "-c", collection, "--all", "-n", 1)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"'{text[0]}' is not in Latin letters" in result.stderr


def test_an_empty_collection_is_a_sentence(collection: Path, tmp_path: Path) -> None:
    from indexer.collection import Collection
    from tips_model.embedder import open_embedder

    Collection.create(tmp_path / "c", open_embedder("nano").info)
    for arguments in (
        ("search", "disc"),
        ("regions", "disc left of square"),
        ("layout", "disc", "0,0,1,1"),
    ):
        result = tips(*arguments, "-c", tmp_path / "c")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "has no photos yet" in result.stderr


def test_a_missing_collection_says_how_to_make_one(tmp_path: Path) -> None:
    for command in (("status",), ("search", "disc"), ("verify",), ("rebuild",)):
        result = tips(*command, "-c", tmp_path / "none")
        assert result.exit_code == 2
        assert "tips index" in result.stderr


def test_a_model_without_weights_names_the_ways_on_and_makes_no_collection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"")
    result = tips("index", tmp_path / "photos", "-c", tmp_path / "c")
    assert result.exit_code == 2
    assert "tips models fetch tipsv2-b14" in result.stderr
    assert "--model nano" in result.stderr
    assert not (tmp_path / "c").exists()


def test_the_collection_comes_from_the_environment(collection: Path) -> None:
    result = run("status", "--json", TIPS_COLLECTION=str(collection))
    facts = json.loads(result.stdout)
    assert (facts["photos"], facts["failed"], facts["images"]) == (30, 1, 30)
    assert facts["collection"] == str(collection)


def test_without_a_name_the_collection_is_in_the_users_data_folder(tmp_path: Path) -> None:
    environment = {"XDG_DATA_HOME": str(tmp_path), "TIPS_COLLECTION": ""}
    result = run("status", **environment)
    assert result.returncode == 2
    assert str(tmp_path / "tips-search" / "collection").encode() in result.stderr


def test_status_lists_failures_with_their_reason(collection: Path, photos: Path) -> None:
    rows = json.loads(tips("status", "--failed", "--json", "-c", collection).stdout)
    assert [row["path"] for row in rows] == [str(photos / "broken.jpg")]
    assert rows[0]["reason"]
    assert f"broken.jpg: {rows[0]['reason']}" in tips("status", "--failed", "-c", collection).stdout


def test_what_another_command_has_yet_to_publish_is_no_fault(
    collection: Path, tmp_path: Path
) -> None:
    shutil.copytree(collection, tmp_path / "c")
    opened = Collection.open(tmp_path / "c")
    with opened.lock():
        catalog = opened.catalog()
        key = min(key for key, sound in catalog.ids().items() if sound)
        catalog.commit(None, [Link(key, "removed", ())])
        beside = tips("verify", "-c", tmp_path / "c")
    assert beside.exit_code == 0
    assert "is at it: what it publishes last is no fault" in " ".join(beside.stderr.split())
    alone = tips("verify", "-c", tmp_path / "c")
    assert (alone.exit_code, "1 photos changed and not published yet" in alone.stdout) == (1, True)


def test_rebuild_brings_lost_vectors_back_and_verify_sees_the_difference(
    collection: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(collection, copy)
    assert tips("verify", "-c", copy).exit_code == 0
    shutil.rmtree(copy / "vectors")
    missing = tips("verify", "-c", copy)
    assert (missing.exit_code, "tips verify --repair makes" in missing.stderr) == (1, True)
    assert json.loads(tips("rebuild", "--json", "-c", copy).stdout)["published"] == 30
    assert tips("verify", "-c", copy).exit_code == 0
    same = [tips("search", "disc", "--all", "-n", 5, "-c", c).stdout for c in (collection, copy)]
    assert same[0] == same[1]


def test_models_lists_names_sizes_and_what_is_here() -> None:
    rows = {row["name"]: row for row in json.loads(tips("models", "--json").stdout)}
    assert rows["nano"]["here"] is True
    assert rows["nano"]["files"] == []
    assert rows["tipsv2-b14"]["parameters"] > 190e6
    assert all(file["url"].startswith("https://") for file in rows["tipsv2-b14"]["files"])
    assert "tipsv2-b14" in tips("models").stdout


def test_what_nano_is_stands_in_its_own_config_and_is_said_everywhere(collection: Path) -> None:
    note = str(json.loads((NANO_FOLDER / "config.json").read_text("utf-8"))["note"])
    assert "small bundled model: common things; for your own library take tipsv2-b14" in note
    notes = {row["name"]: row["note"] for row in json.loads(tips("models", "--json").stdout)}
    assert [name for name in notes if notes[name]] == ["nano"]
    for result in (tips("models"), tips("status", "-c", collection)):
        assert note in " ".join(result.stdout.split())


def test_hostile_names_are_shown_as_they_are(collection: Path, photos: Path) -> None:
    result = tips("search", "disc", "-c", collection, "--all", "-n", 100)
    assert str(photos / HOSTILE) in result.stdout.splitlines()


@pytest.mark.parametrize("paths", [(), ("typo",), ("empty",), ("file.txt",)], ids=str)
def test_a_mistyped_first_call_leaves_no_collection_behind(
    paths: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("")
    folders = [tmp_path / path for path in paths]
    result = tips("index", *folders, "--model", "nano", "-c", tmp_path / "collection")
    assert result.exit_code == 2
    assert "Model nano" not in result.output  # nothing was loaded
    assert not (tmp_path / "collection").exists()


def test_a_file_in_the_way_is_a_sentence_and_a_defect_has_a_code_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code = (
        "import sys\nfrom ui.cli import cli, main\n"
        f"@cli.command()\ndef stumble(): open({str(tmp_path / 'file' / 'x')!r})\n"
        "@cli.command()\ndef broken(): raise RuntimeError('a defect')\n"
        "main()"
    )
    for name, status, said in (
        ("stumble", 2, "Not a directory"),
        ("broken", 70, "RuntimeError: a defect"),
    ):
        command = [sys.executable, "-c", code, name]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == status, result.stderr
        assert said in result.stderr
        assert ("Traceback" in result.stderr) == (status == 70)


def test_again_finds_places_in_other_photos(collection: Path, photos: Path) -> None:
    source = photos / "Rome" / "IMG_0003.jpg"
    common = ("-c", collection, "--json", "-n", 5)
    for place in (("--point", "0.5,0.5"), ("--box", "0.2,0.2,0.8,0.8", "--not-point", "0,0")):
        result = tips("again", source, *place, *common)
        assert result.exit_code == 0, result.output
        answer = json.loads(result.stdout)
        assert len(answer["hits"]) == 5
        assert str(source) not in [hit["path"] for hit in answer["hits"]]
        assert all(hit["regions"] for hit in answer["hits"])
    other = photos / "Rome" / "IMG_0004.jpg"
    result = tips("again", source, "--point", f"{other}@0.5,0.5", *common)
    paths = [hit["path"] for hit in json.loads(result.stdout)["hits"]]
    assert str(other) not in paths


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--point", "0.5,1.5"), "not inside the picture"),
        (("--box", "0.5,0,0.2,1"), "not inside the picture"),
        (("--box", "0.5,0,0.2"), "four numbers"),
        (("--point", "a,b"), "two numbers"),
        (("--point", "nobody.jpg@0,0"), "nobody.jpg"),
        ((), "Nothing to find"),
        (("--not-point", "0,0"), "Nothing to find"),
    ],
)
def test_again_says_what_is_wrong(
    collection: Path, photos: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = tips("again", photos / "Rome" / "IMG_0003.jpg", *arguments, "-c", collection)
    assert result.exit_code == 2
    assert said in result.stderr


def test_places_are_refined_unless_the_user_says_no(collection: Path) -> None:
    common = ("regions", "disc", "-c", collection, "--all", "-n", 3, "--json")
    fine, default, stored = (
        tips(*common, *extra).stdout for extra in (("--refine",), (), ("--no-refine",))
    )
    assert fine == default  # nano is small
    boxes = [[r["box"] for r in h["regions"]] for h in json.loads(stored)["hits"]]
    assert boxes != [[r["box"] for r in h["regions"]] for h in json.loads(fine)["hits"]]


def test_a_query_is_explained_without_a_collection(tmp_path: Path) -> None:
    nowhere = tmp_path / "none"
    said = tips("search", "--explain", "dog left of car and no cat date:2023", "-c", nowhere)
    assert said.exit_code == 0
    assert said.stdout.splitlines() == [
        '"dog" left of "car" AND NOT "cat"',
        '  find "dog" left of "car"',
        '  leave out "cat"',
        "  only photos with date:2023",
    ]
    answer = json.loads(tips("regions", "--explain", "tiny dog", "--json").stdout)
    assert (answer["reading"], answer["plain"]) == ('TINY "dog"', False)
    assert answer["parts"][0]["parts"][1] == {"role": "size", "text": "tiny"}
    dated = tips("search", "--explain", "party in July 2023")
    assert dated.stderr == "For photos taken in July 2023, add date:2023-07\n"
    refused = tips("search", "--explain", "dog left of")
    assert (refused.exit_code, refused.stdout) == (2, "")
