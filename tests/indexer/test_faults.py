"""A few faults of each kind, struck as `bench/faults.py` strikes them by the hundred."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KINDS = ("kill-at", "torn", "io-error", "no-space", "root-gone", "photo", "two-writers", "rot")


@pytest.mark.durability
def test_a_few_faults_of_each_kind_leave_everything_in_order(tmp_path: Path) -> None:
    out = tmp_path / "faults.json"
    line = ["-m", "bench.faults", "--short", "--seed", "7", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, *line],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    if "NO COMPILER" in done.stderr:
        pytest.skip("there is no C compiler to build the shim that injects faults")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(out.read_text())
    assert result["problems"] == 0
    assert result["readers"]["problems"] == []
    assert result["readers"]["answers"] > 0
    struck = {kind: sum(row["outcomes"].values()) for kind, row in result["kinds"].items()}
    assert set(struck) == set(KINDS)
    assert all(count >= 1 for count in struck.values())
    killed = [result["kinds"][kind]["outcomes"].get("killed", 0) for kind in ("kill-at", "torn")]
    assert all(count >= 1 for count in killed)
    assert result["kinds"]["no-space"]["outcomes"].get("sentence", 0) >= 1
