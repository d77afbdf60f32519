"""Two nodes as docs/training.md starts them, in small: rendezvous, a killed process, resuming."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tips_model import load
from tips_model.train import distributed
from tips_model.train.checkpoint import saved_steps
from tips_model.train.data import open_data
from tips_model.train.presets import preset
from tips_model.train.train import run

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs" / "training.md"


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def documented() -> tuple[dict[str, str], list[str]]:
    """What the guide exports for several nodes, and the words of its line from torchrun to -m."""
    block = re.search(
        r"```\nexport (\w+)=(\w+)\n(torchrun --nnodes [^`]*)```", GUIDE.read_text("utf-8")
    )
    assert block is not None, "the guide has a line for several nodes"
    words = block[3].replace("\\\n", " ").split()
    return {block[1]: block[2]}, words[1 : words.index("-m")]


def losses(log: Path) -> dict[int, float]:
    """Step -> loss; a step that was done twice counts as it was the last time."""
    lines = map(json.loads, log.read_text("utf-8").splitlines())
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


def test_two_nodes_go_on_by_themselves_when_a_process_is_killed(tmp_path: Path) -> None:
    """The documented flags; only the addresses, the counts and the preset are small."""
    small = {
        "--nnodes": "2",
        "--nproc-per-node": "1",
        "--rdzv-endpoint": f"localhost:{free_port()}",
    }
    exported, flags = documented()
    for flag, value in small.items():
        flags[flags.index(flag) + 1] = value
    grave, out = tmp_path / "grave", tmp_path / "nodes"
    command = [
        sys.executable, "-m", "torch.distributed.run", *flags, "--local-addr", "localhost",
        "-m", "tests.tips_model.train.killed_node", str(grave), "6",
        "debug", "--data", "scenes", "--out", str(out), "--resume",
    ]  # fmt: skip
    environment = {**os.environ, **exported, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    nodes = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        told = [node.communicate(timeout=200)[1] for node in nodes]
    finally:
        for node in nodes:
            node.terminate()  # torchrun then ends its processes
            node.wait()
    assert [node.returncode for node in nodes] == [0, 0], told[0][-2000:] + told[1][-2000:]
    assert grave.exists(), "a process was to be killed"
    assert saved_steps(out)[-1][0] == 8
    assert load(str(out / "model")).config.name == "debug"
    # Step 5 and 6 were done twice: from the checkpoint of step 4 on, as if nothing had been.
    source, tokenizer = open_data("scenes", preset("debug"))
    assert run(preset("debug"), source, tokenizer, tmp_path / "whole").finished
    whole = losses(tmp_path / "whole" / "log.jsonl")
    assert sorted(whole) == list(range(1, 9))
    assert losses(out / "log.jsonl") == pytest.approx(whole, rel=1e-3)
    assert distributed.world() == 1
