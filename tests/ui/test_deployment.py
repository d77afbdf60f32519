"""compose.yaml and the image: what must hold for a server that others can reach."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return loaded["services"]


def test_qdrant_is_pinned_and_keeps_its_data(services: dict[str, Any]) -> None:
    qdrant = services["qdrant"]
    assert re.fullmatch(r"qdrant/qdrant:v\d+\.\d+\.\d+", qdrant["image"])
    assert "qdrant:/qdrant/storage" in qdrant["volumes"]


def test_qdrant_takes_its_key_from_the_environment_and_refuses_to_start_without(
    services: dict[str, Any],
) -> None:
    qdrant = services["qdrant"]
    assert qdrant["environment"]["QDRANT__SERVICE__API_KEY"] == "${QDRANT_API_KEY:-}"
    assert services["app"]["environment"]["QDRANT_API_KEY"] == "${QDRANT_API_KEY:-}"
    shell, flag, script = qdrant["command"]
    run = subprocess.run(
        [shell, flag, script.replace("$$", "$")],
        env={"PATH": os.environ["PATH"], "QDRANT__SERVICE__API_KEY": ""},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert "QDRANT_API_KEY" in run.stderr


def test_the_app_waits_for_a_healthy_qdrant(services: dict[str, Any]) -> None:
    assert services["app"]["depends_on"] == {"qdrant": {"condition": "service_healthy"}}
    assert "/dev/tcp/127.0.0.1/6333" in services["qdrant"]["healthcheck"]["test"][-1]


@pytest.mark.parametrize(("answer", "healthy"), [("200 OK", True), ("503 Not Ready", False)])
def test_the_health_check_believes_a_200_only(
    services: dict[str, Any], answer: str, healthy: bool, tmp_path: Path
) -> None:
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:

        def reply() -> None:
            connection, _ = server.accept()
            with connection:
                # bash writes a request line by line: an answer after the first of them would
                # close the socket on the second.
                request = b""
                while not request.endswith(b"\r\n\r\n"):
                    request += (piece := connection.recv(1000))
                    assert piece, request
                assert request.startswith(b"GET /readyz HTTP/1.0\r\n")
                connection.sendall(f"HTTP/1.0 {answer}\r\n\r\n".encode())

        thread = threading.Thread(target=reply)
        thread.start()
        kind, *command = services["qdrant"]["healthcheck"]["test"]
        command[-1] = command[-1].replace("$$", "$").replace("6333", str(server.getsockname()[1]))
        run = subprocess.run(command, capture_output=True)
        thread.join()
    assert kind == "CMD"
    assert (run.returncode == 0) is healthy


def test_nothing_is_reachable_from_other_machines(services: dict[str, Any]) -> None:
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_photos_are_mounted_read_only(services: dict[str, Any]) -> None:
    assert any(volume.endswith(":/photos:ro") for volume in services["app"]["volumes"])


def test_the_image_runs_as_an_ordinary_user_with_the_tested_torch() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert dockerfile.index("USER tips") < dockerfile.index("ENTRYPOINT")
    assert "FROM python:3.11-slim" in dockerfile
    tested = re.search(r"^TORCH \?= (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert tested
    assert f"pip install {tested[1]} --index-url https://download.pytorch.org/whl/cpu" in dockerfile


def test_compose_accepts_the_file() -> None:
    with_plugin = ["docker", "compose"]
    found = (
        shutil.which("docker")
        and not subprocess.run([*with_plugin, "version"], capture_output=True).returncode
    )
    command = with_plugin if found else ["docker-compose"]
    if not shutil.which(command[0]):
        pytest.skip("NOT CHECKED: `docker compose` is not installed, compose.yaml was only parsed")
    run = subprocess.run(
        [*command, "-f", str(ROOT / "compose.yaml"), "config"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
