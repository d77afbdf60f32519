"""How many requests the service answers, how quickly, and whether its memory grows.

    python bench/load.py --out docs/service.json                  # the bundled pictures
    python bench/load.py -c COLLECTION --minutes 10 --out docs/service.json

`tips serve` runs as a process of its own, and locust's clients in another one, on the same machine
over loopback: they share its cores. 1, 8 and 32 clients ask as fast as they are answered, searches
alone and a mix of searches, places and thumbnails (`bench/load_users.py`). Times are milliseconds
as the clients see them, median and 95 % line. Memory is the resident set of the service while 8
clients ask the mix, read every 10 seconds. Needs the extra `bench`. Run it on a machine that does
nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from scale import machine

USERS = Path(__file__).with_name("load_users.py")
DEMO = Path(__file__).parents[1] / "ui" / "demo" / "photos"
TIPS = (sys.executable, "-c", "from ui.cli import main; main()")
CLIENTS = (1, 8, 32)
SAMPLE = 10.0  # seconds between two looks at the memory


@contextmanager
def served(collection: Path) -> Iterator[str]:
    """The address of a service that is ready."""
    command = [*TIPS, "serve", "-c", str(collection), "--port", "0", "--rate-limit", "off"]
    with subprocess.Popen(
        [*command, "--queue", "256"], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        found = re.search(r"on (http://\S+)", process.stderr.readline())
        assert found, "the service does not start"
        drain = subprocess.Popen(
            [sys.executable, "-c", "import sys; any(False for _ in sys.stdin)"],
            stdin=process.stderr,
        )
        try:
            while httpx.get(f"{found[1]}/readyz").status_code != 200:
                time.sleep(0.1)
            yield found[1]
        finally:
            process.terminate()
            drain.wait()


def load(address: str, user: str, clients: int, seconds: float) -> dict[str, Any]:
    """Requests a second and times of each kind of request, from so many clients."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stats"
        command = [sys.executable, "-m", "locust", "-f", str(USERS), "--headless", "--skip-log"]
        command += ["-u", str(clients), "-r", str(clients), "-t", f"{seconds:g}s"]
        command += ["--host", address, "--json-file", str(file), user]
        subprocess.run(command, check=True, capture_output=True)
        stats = json.loads(file.with_suffix(".json").read_text())
    kinds = {entry["name"]: entry for entry in stats if entry["name"] != "start"}
    assert not any(entry["num_failures"] for entry in kinds.values()), kinds
    figures = {name: _figures([entry]) for name, entry in kinds.items()}
    return {"all": _figures(list(kinds.values())), **figures}


def _figures(entries: list[Mapping[str, Any]]) -> dict[str, float]:
    times: list[float] = []
    for entry in entries:
        for milliseconds, count in entry["response_times"].items():
            times += [float(milliseconds)] * count
    seconds = max(e["last_request_timestamp"] for e in entries) - min(
        e["start_time"] for e in entries
    )
    return {
        "requests/s": round(len(times) / seconds, 1),
        "p50": statistics.median(times),
        "p95": statistics.quantiles(times, n=20)[-1],
    }


def memory(address: str) -> float:
    """Resident megabytes of the service."""
    text = httpx.get(f"{address}/metrics").text
    found = re.search(r"^process_resident_memory_bytes (\S+)", text, re.MULTILINE)
    assert found
    return float(found[1]) / 1e6


def grown(address: str, minutes: float) -> dict[str, Any]:
    """The memory while 8 clients ask for so many minutes: at the start, the middle, the end."""
    command = [sys.executable, "-m", "locust", "-f", str(USERS), "--headless", "--skip-log"]
    command += ["-u", "8", "-r", "8", "-t", f"{60 * minutes:g}s", "--host", address, "Mixed"]
    samples = [memory(address)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as users:
        while users.poll() is None:
            time.sleep(SAMPLE)
            samples.append(memory(address))
    found = re.findall(
        r'tips_requests_total\{.*status="200"\} (\S+)', httpx.get(f"{address}/metrics").text
    )
    return {
        "minutes": minutes,
        "megabytes": [round(sample) for sample in samples],
        "requests": round(sum(map(float, found))),
    }


def demo(folder: Path) -> Path:
    """The bundled pictures with the bundled model."""
    subprocess.run([*TIPS, "index", str(DEMO), "--model", "nano", "-c", str(folder)], check=True)
    return folder


def main() -> None:
    """Measure, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-c", "--collection", type=Path, help="else the bundled pictures")
    parser.add_argument("--seconds", type=float, default=15, help="for each number of clients")
    parser.add_argument("--minutes", type=float, default=0, help="of looking at the memory")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    known = json.loads(options.out.read_text()) if options.out.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        collection = options.collection or demo(Path(folder) / "demo")
        with served(collection) as address:
            status = httpx.get(f"{address}/v1/status").json()
            known |= {"machine": machine(), "model": status["model"]}
            if options.seconds:
                known[f"{status['images']} photos"] = {
                    user: {
                        f"{clients} clients": load(address, user, clients, options.seconds)
                        for clients in CLIENTS
                    }
                    for user in ("Searching", "Mixed")
                }
            if options.minutes:
                known["memory"] = grown(address, options.minutes)
    options.out.write_text(json.dumps(known, indent=2) + "\n")
    print(json.dumps(known, indent=2))


if __name__ == "__main__":
    main()
