"""What must hold of a collection after each fault, looked at without the command's own report."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from indexer.vectors import KINDS, VectorStore, image_key

State = dict[str, int]
"""A published state: image key -> how many regions the photo has."""


def catalog_state(folder: Path, revision: int) -> State:
    """What the catalog said at a revision: its photos with vectors, and their regions."""
    import lancedb

    if revision == 0:
        return {}
    table = lancedb.connect(folder / "catalog").open_table("photos")
    table.checkout(revision)
    rows = table.search().where("status = 'ok'").limit(None).select(["id", "region_boxes"])
    return {image_key(row["id"]): len(row["region_boxes"]) for row in rows.to_list()}


def store_problems(store: VectorStore, folder: Path) -> list[str]:
    """How the open state of the vectors differs from the catalog at its revision."""
    wanted = catalog_state(folder, store.revision)
    found: dict[str, Counter[str]] = {}
    for kind in KINDS:
        ids = [point for page in store.scroll_ids(kind) for point in page]
        if len(ids) != len(set(ids)):
            yield_twice = len(ids) - len(set(ids))
            return [f"{yield_twice} {kind} points are there twice"]
        if len(ids) != store.count(kind):
            return [f"{len(ids)} {kind} points are listed, {store.count(kind)} counted"]
        found[kind] = Counter(image_key(point) for point in ids)
    problems = []
    if set(found["images"]) != set(wanted):
        lost = len(set(wanted) - set(found["images"]))
        surplus = len(set(found["images"]) - set(wanted))
        problems.append(f"revision {store.revision}: {lost} photos lost, {surplus} too many")
    if dict(found["regions"]) != {key: n for key, n in wanted.items() if n}:
        problems.append(f"revision {store.revision}: regions are not those of the catalog")
    return problems


def inspect(folder: Path) -> dict[str, Any]:
    """What is wrong right after a fault, before anything is repaired: {"problems", "revision"}.

    Readers must see a published state whole; rows that wait for their publishing are no problem.
    """
    from indexer.collection import Collection
    from indexer.maintenance.verify import verify

    if not Collection.exists(folder):
        return {"problems": [], "revision": 0, "rows": 0}
    collection = Collection.open(folder)
    store = collection.vectors()
    problems = store_problems(store, folder)
    report = verify(collection)
    for name in ("incomplete", "wrong", "surplus", "damage", "broken"):
        if found := getattr(report, name):
            problems.append(f"verify: {name}: {found}")
    revision = store.revision
    store.close()
    return {"problems": problems, "revision": revision, "rows": report.photos}


def settled(folder: Path, contents: dict[str, str], *, read: bool) -> list[str]:
    """What is wrong once the command has been run again to its end: everything must agree.

    read: others have the collection open. When one of them opens a shard in the moment in which it
    is merged away, the engine makes the folder anew; the next writer deletes it.
    """
    from indexer.collection import Collection
    from indexer.maintenance.verify import verify

    collection = Collection.open(folder)
    store = collection.vectors()
    problems = store_problems(store, folder)
    catalog = collection.catalog()
    if store.revision > catalog.revision:
        problems.append(f"the vectors are of revision {store.revision}, from the future")
    store.close()
    links = catalog.files().select("path", "id").rows()
    if len(links) != len(dict(links)):
        problems.append("a file is indexed twice")
    if dict(links) != contents:
        lost = sorted(set(contents) - set(dict(links)))
        surplus = sorted(set(dict(links)) - set(contents))
        other = [path for path, key in links if contents.get(path, key) != key]
        problems.append(f"files lost {lost}, too many {surplus}, of other content {other}")
    counts = catalog.counts()
    if counts["removed"]:
        problems.append(f"{counts['removed']} removed rows were left in the catalog")
    if sum(counts.values()) != len(set(contents.values())):
        problems.append(f"{counts} rows for {len(set(contents.values()))} contents")
    report = verify(collection)
    if not report.sound:
        problems.append(f"verify: {'; '.join(report.lines())}")
    if read:
        with collection.lock():
            writer = collection.vectors(read_only=False)
            writer.tidy()
            writer.close()
    return problems + leftovers(folder)


def leftovers(folder: Path) -> list[str]:
    """What a run left that nothing names: temporary files, shards, data of the catalog."""
    from indexer.edge.manifest import read_manifest

    manifest = read_manifest(folder / "vectors")
    named = {shard.name for shard in manifest.shards} if manifest else set()
    found = [path.name for path in folder.iterdir() if path.is_file()]
    allowed = {"collection.json", "lock", "calibration.npz", "duplicates.npz"}
    # Those of files that are made again go when they are old (`sweep_temporaries`).
    surplus = [n for n in found if n not in allowed and not n.endswith(".part")]
    if (folder / "vectors").exists():
        surplus += [
            f"vectors/{path.name} ({sum(file.is_file() for file in path.rglob('*'))} files)"
            for path in (folder / "vectors").iterdir()
            if path.name not in {*named, "manifest.json", "writer.lock"}
        ]
    surplus += [
        f"catalog/{path.name}"
        for path in (folder / "catalog").iterdir()
        if path.name not in {"photos.lance", "links.arrow", "devices.json"}
    ]
    return [f"left over: {', '.join(sorted(surplus))}"] if surplus else []
