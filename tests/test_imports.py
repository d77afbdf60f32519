"""The floors of the house: imports point down only, and the encoder comes alone."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tips_model.former_names import RENAMED

ROOT = Path(__file__).parents[1]
FLOORS = ("tips_model", "indexer", "search", "ui")  # each may import those before it
ALONE = (
    "tips_model.train",
    "tips_model.eval",
    "qdrant_client",
    "qdrant_edge",
    "lancedb",
    "open_clip",
    "transformers",
    "streamlit",
    "polars",
)
PAGE = sorted(str(file.relative_to(ROOT / "ui")) for file in (ROOT / "ui" / "app").rglob("*.py"))


def imported(file: Path) -> set[str]:
    """The modules that a file imports anywhere, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            found.add(node.module or "")
    return found


def members(file: Path) -> set[str]:
    """The same, and what is imported from a package, which may be a module."""
    found = imported(file)
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_point_down_only(floor: str) -> None:
    above = set(FLOORS[FLOORS.index(floor) + 1 :])
    files = sorted((ROOT / floor).rglob("*.py"))
    assert files
    for file in files:
        upward = {name for name in imported(file) if name.split(".")[0] in above}
        assert not upward, f"{file.relative_to(ROOT)} imports {upward}"


def test_no_imports_run_in_a_circle() -> None:
    files = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for floor in FLOORS
        for file in (ROOT / floor).rglob("*.py")
    }
    needs = {name: members(file) & files.keys() - {name} for name, file in files.items()}
    assert len(list(TopologicalSorter(needs).static_order())) == len(files)


def test_inference_does_not_import_training_or_evaluation() -> None:
    for file in sorted((ROOT / "tips_model").glob("*.py")):
        upward = {
            n for n in imported(file) if n.startswith(("tips_model.train", "tips_model.eval"))
        }
        assert not upward, f"{file.name} imports {upward}"


def test_importing_the_encoder_pulls_in_nothing_else() -> None:
    code = (
        "import sys, tips_model\n"
        "tips_model.TIPS, tips_model.load, tips_model.VisionOutput\n"
        "from tips_model.embedder import open_embedder\n"
        f"print(*(name for name in {ALONE!r} if name in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_the_names_of_the_indexer_load_what_they_need_and_no_more() -> None:
    code = (
        "import sys, indexer\n"
        "loaded = [name for name in ('torch', 'lancedb', 'polars') if name in sys.modules]\n"
        "from indexer import Collection, index\n"
        "print(loaded, 'torch' in sys.modules, Collection.__module__, index.__module__)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["[]", "False", "indexer.collection", "indexer.pipeline"]
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        exec("from indexer import nothing")


@pytest.mark.parametrize("name", PAGE)
def test_the_page_leaves_engines_and_tensors_to_the_floors_below(name: str) -> None:
    engines = {"torch", "qdrant_client", "qdrant_edge", "lancedb", "open_clip"}
    assert not {module.split(".")[0] for module in imported(ROOT / "ui" / name)} & engines


def test_the_page_is_there_before_torch_is() -> None:
    code = (
        "import sys, ui.app.photos_page, ui.app.collections_page, ui.app.access\n"
        "print(*(name for name in ('torch', 'scipy', 'qdrant_edge') if name in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


@pytest.mark.parametrize("module", ["indexer.cluster.tasks", "indexer.photos.decoder_worker"])
def test_processes_that_are_started_often_start_without_torch(module: str) -> None:
    code = f"import sys, {module}; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_modules_are_there_by_their_former_names_too() -> None:
    for former, present in RENAMED.items():
        with pytest.warns(DeprecationWarning, match=f"{former} is {present} now"):
            assert importlib.import_module(former) is importlib.import_module(present)
    with pytest.warns(DeprecationWarning, match="is indexer.maintenance.verify now"):
        verify = importlib.import_module("indexer.keeping.verify")
    assert verify is sys.modules["indexer.maintenance.verify"]
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        importlib.import_module("indexer.no_such_module")


def test_no_former_name_is_used_here() -> None:
    for floor in FLOORS:
        for file in (ROOT / floor).rglob("*.py"):
            assert not members(file) & RENAMED.keys(), file


def test_a_catalog_is_read_without_what_writes_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from indexer.catalog.table import Catalog\n"
        "catalog = Catalog(Path(sys.argv[1]), ('web',), 4)\n"
        "catalog.counts(), catalog.files(), catalog.failures(), catalog.revision\n"
        "print('lancedb' in sys.modules)"
    )
    for created in ("True", "False"):
        run = subprocess.run(
            [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True
        )
        assert run.stdout.strip() == created
