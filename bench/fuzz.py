"""Throw mutated bytes at everything that reads what strangers made (JSON on stdout).

    python bench/fuzz.py picture --seconds 120
    python bench/fuzz.py all --seconds 30
    python bench/fuzz.py query --crash FILE        # one input again

The targets, and what they hold against the answers, are those of the tests
(`tests/hostile/targets.py`). Atheris mutates what reached new lines of our own modules and of
Pillow's. Each target runs in a process of its own: one that dies, or hangs over one input for 30
seconds, is a finding, and so is what nobody expected to be raised. Its input is kept in --findings.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HANG_SECONDS = 30
MEMORY_MB = 3000
LONGEST = 65_536  # bytes of an input
NAMES = (
    *("picture", "raw", "exif", "thumbnail", "query", "page", "filter", "collection", "manifest"),
    *("snapshot", "registry", "job", "ignore", "npz", "safetensors", "config", "tokenizer", "name"),
)


def fuzz(name: str, corpus: str, seconds: int, findings: str) -> None:
    """Run one target in this process; does not return."""
    import atheris

    with atheris.instrument_imports(
        include=["indexer", "search", "ui", "tips_model", "PIL"], enable_loader_override=False
    ):
        from tests.hostile.targets import TARGETS

    target, _ = TARGETS[name]
    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-timeout={HANG_SECONDS}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={LONGEST}",
        f"-artifact_prefix={findings}/{name}-",
        "-print_final_stats=1",
        corpus,
    ]
    atheris.Setup(arguments, target)
    atheris.Fuzz()


def run(name: str, seconds: int, findings: Path) -> dict[str, Any]:
    """Fuzz one target in a process of its own, again after each finding until the time is over."""
    from tests.hostile.targets import TARGETS

    began, executions, found = time.monotonic(), 0, list[str]()
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(TARGETS[name][1]()):
            Path(corpus, f"seed-{number}").write_bytes(seed)
        while (left := round(seconds - (time.monotonic() - began))) > 0:
            command = [sys.executable, __file__, name, "--inside", corpus, "--seconds", str(left)]
            done = subprocess.run(
                [*command, "--findings", str(findings)], capture_output=True, text=True, check=False
            )
            counted = re.search(r"number_of_executed_units: (\d+)", done.stderr)
            progress = re.findall(r"^#(\d+)\s", done.stderr, re.MULTILINE)
            executions += int(counted[1]) if counted else int(progress[-1]) if progress else 0
            if done.returncode == 0:
                break
            found.append(_summary(done.stderr))
            if len(found) >= 10:
                break
    return {
        "target": name,
        "seconds": round(time.monotonic() - began),
        "executions": executions,
        "findings": found,
    }


def _summary(said: str) -> str:
    """What a fuzzer said of a finding, in a line or two."""
    trace = re.search(r"=== Uncaught Python exception: ===\n(.*?)\nTraceback", said, re.DOTALL)
    kept = re.search(r"Test unit written to (\S+)", said)
    what = trace[1] if trace else "\n".join(re.findall(r"^.*(?:ERROR|SUMMARY).*$", said, re.M)[-2:])
    return f"{what or said[-300:]} [{kept[1] if kept else 'input not kept'}]"


def main() -> None:
    """Fuzz some targets, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", choices=["all", *NAMES])
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--findings", type=Path, default=Path("findings"), help="folder for inputs")
    parser.add_argument("--crash", type=Path, help="run this one input, and nothing else")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1]))
    if arguments.crash:
        from tests.hostile.targets import TARGETS

        TARGETS[arguments.target][0](arguments.crash.read_bytes())
        return
    arguments.findings.mkdir(parents=True, exist_ok=True)
    if arguments.inside:
        fuzz(arguments.target, arguments.inside, arguments.seconds, str(arguments.findings))
    names = NAMES if arguments.target == "all" else [arguments.target]
    results = [run(name, arguments.seconds, arguments.findings) for name in names]
    print(json.dumps({"bench": "fuzz", "cpus": os.cpu_count(), "targets": results}, indent=2))


if __name__ == "__main__":
    main()
