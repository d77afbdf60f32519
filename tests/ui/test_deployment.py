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


NODES = ("qdrant", "qdrant-1", "qdrant-2", "qdrant-3")
OURS = ("app", "service")


@pytest.mark.parametrize("name", NODES)
def test_qdrant_is_pinned_unprivileged_and_keeps_its_data(
    services: dict[str, Any], name: str
) -> None:
    qdrant = services[name]
    assert re.fullmatch(r"qdrant/qdrant:v\d+\.\d+\.\d+-unprivileged", qdrant["image"])
    assert f"{name}:/qdrant/storage" in qdrant["volumes"]
    assert f"{name}-snapshots:/qdrant/snapshots" in qdrant["volumes"]


@pytest.mark.parametrize("name", [*NODES, *OURS])
def test_every_container_is_locked_down(services: dict[str, Any], name: str) -> None:
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]
    assert "privileged" not in service
    assert "user" not in service  # the images have their own, and none is root


def test_the_images_of_qdrant_can_be_written_only_where_they_must(
    services: dict[str, Any],
) -> None:
    for name in NODES:
        assert services[name]["environment"]["QDRANT_INIT_FILE_PATH"].startswith("/tmp/")


@pytest.mark.parametrize(
    ("name", "key", "variable"),
    [
        *((name, "QDRANT__SERVICE__API_KEY", "QDRANT_API_KEY") for name in NODES),
        ("service", "TIPS_TOKEN", "TIPS_TOKEN"),
    ],
)
def test_secrets_come_from_the_environment_and_nothing_starts_without(
    services: dict[str, Any], name: str, key: str, variable: str
) -> None:
    service = services[name]
    assert service["environment"][key] == f"${{{variable}:-}}"
    shell, flag, script, *rest = service["entrypoint" if name in OURS else "command"]
    script = (
        script.replace("$$", "$").replace("exec ./entrypoint.sh", "echo").replace("exec", "echo")
    )
    for secret, code, said in (("", 1, ""), ("x", 0, "serve" if name in OURS else "")):
        run = subprocess.run(
            [shell, flag, script, *rest, *(service["command"] if name in OURS else [])],
            env={"PATH": os.environ["PATH"], key: secret},
            capture_output=True,
            text=True,
        )
        assert run.returncode == code
        assert (variable in run.stderr) is (code == 1)
        assert said in run.stdout


def test_secrets_are_nowhere_else(services: dict[str, Any]) -> None:
    for name in OURS:
        assert services[name]["environment"]["QDRANT_API_KEY"] == "${QDRANT_API_KEY:-}"
    example = (ROOT / ".env.example").read_text("utf-8")
    asked = set(re.findall(r"\$\{(\w+):-", (ROOT / "compose.yaml").read_text("utf-8")))
    assert set(re.findall(r"^(\w+)=", example, re.MULTILINE)) == asked
    assert re.findall(r"^(?:QDRANT_API_KEY|TIPS_TOKEN)=(.*)$", example, re.MULTILINE) == ["", ""]
    assert "/.env" in (ROOT / ".gitignore").read_text("utf-8").split()


def test_the_cluster_has_three_nodes_that_find_each_other(services: dict[str, Any]) -> None:
    for name in NODES[1:]:
        node = services[name]
        assert node["profiles"] == ["cluster"]
        assert node["environment"]["QDRANT__CLUSTER__ENABLED"] == "true"
        # One name for all of them: with a node away, those that are left answer to it.
        assert node["networks"] == {"default": {"aliases": ["qdrant-cluster"]}}
        own = node["command"][node["command"].index("--uri") + 1]
        assert own == f"http://{name}:6335"
        if name == "qdrant-1":
            assert "--bootstrap" not in node["command"]
            continue
        assert node["command"][-2:] == ["--bootstrap", "http://qdrant-1:6335"]
        assert node["depends_on"] == {"qdrant-1": {"condition": "service_healthy"}}
    assert not any("profiles" in services[name] for name in ("qdrant", *OURS))


def test_the_service_is_asked_whether_it_is_healthy(services: dict[str, Any]) -> None:
    service = services["service"]
    assert service["command"] == ["serve", "--host", "0.0.0.0", "--port", "8765"]
    assert "http://localhost:8765/healthz" in service["healthcheck"]["test"][-1]


def test_the_app_waits_for_a_healthy_qdrant(services: dict[str, Any]) -> None:
    for name in OURS:
        assert services[name]["depends_on"] == {"qdrant": {"condition": "service_healthy"}}
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
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_photos_are_mounted_read_only(services: dict[str, Any]) -> None:
    for name in OURS:
        assert any(volume.endswith(":/photos:ro") for volume in services[name]["volumes"])


def test_the_image_runs_as_an_ordinary_user_with_the_tested_torch() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert dockerfile.index("USER tips") < dockerfile.index("ENTRYPOINT")
    assert "FROM python:3.11-slim" in dockerfile
    tested = re.search(r"^TORCH \?= (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert tested
    assert f"pip install {tested[1]} --index-url https://download.pytorch.org/whl/cpu" in dockerfile


@pytest.mark.parametrize("secrets", [{}, {"QDRANT_API_KEY": "k", "TIPS_TOKEN": "t"}])
@pytest.mark.parametrize("profile", [(), ("--profile", "cluster")])
def test_compose_accepts_the_file(profile: tuple[str, ...], secrets: dict[str, str]) -> None:
    with_plugin = ["docker", "compose"]
    found = (
        shutil.which("docker")
        and not subprocess.run([*with_plugin, "version"], capture_output=True).returncode
    )
    command = with_plugin if found else ["docker-compose"]
    if not shutil.which(command[0]):
        pytest.skip("NOT CHECKED: `docker compose` is not installed, compose.yaml was only parsed")
    run = subprocess.run(
        [*command, "-f", str(ROOT / "compose.yaml"), *profile, "config"],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **secrets},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    known = yaml.safe_load(run.stdout)["services"]
    assert {"qdrant", "app", "service"} <= set(known)
    assert known["service"]["environment"]["TIPS_TOKEN"] == secrets.get("TIPS_TOKEN", "")
