"""The typed client: what it makes of problems, and of a service that has no time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.ui.service.conftest import running
from ui.service import client as module
from ui.service.client import Client, ServiceError

TOKEN = "a-long-enough-token"


def test_a_problem_becomes_an_error_with_its_fields(client: Client) -> None:
    with pytest.raises(ServiceError, match="is not a filter field") as raised:
        client.search("red", filter="size:3")
    assert (raised.value.status, raised.value.code) == (422, "filter")
    assert list(raised.value.fields) == ["filter"]
    assert raised.value.instance.startswith("urn:uuid:")


def test_a_client_waits_as_long_as_it_is_asked_to(
    calibrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(module, "sleep", waits.append)
    with running(calibrated, rate="1/hour") as (http, service):
        with Client(str(http.base_url), retries=2) as client:
            assert client.collections()[0].ready
            with pytest.raises(ServiceError, match="came from this address") as raised:
                client.collections()
        refused = service.metrics.registry.get_sample_value(
            "tips_refused_total", {"reason": "rate"}
        )
    assert raised.value.status == 429
    assert refused == 3  # the request and two more tries
    assert waits == [module.LONGEST_WAIT] * 2  # an hour is more than anybody waits for


def test_a_token_and_a_collection_go_with_every_request(calibrated: Path) -> None:
    with running(calibrated, tokens=(TOKEN,)) as (http, service):
        address, name = str(http.base_url), service.engines.all[0].name
        with Client(address, token=TOKEN, collection=name) as client:
            assert client.status().name == name
            assert client.regions("red", all=True).collection == name
        with Client(address, token=TOKEN, collection="another") as client:
            for ask in (client.status, lambda: client.search("red"), client.facets):
                with pytest.raises(ServiceError, match="no collection 'another'"):
                    ask()
        with Client(address) as stranger, pytest.raises(ServiceError, match="token") as raised:
            stranger.status()
    assert raised.value.status == 401


def test_an_answer_of_something_in_between_is_an_error_too() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(502, text="<html>bad gateway"))
    with Client("http://proxy.example") as client:
        client._http = httpx.Client(base_url="http://proxy.example", transport=transport)
        with pytest.raises(ServiceError, match="answered with 502"):
            client.status()


def test_the_client_needs_nothing_of_the_search() -> None:
    code = (
        "import sys, ui.service.client\n"
        "heavy = {'torch', 'lancedb', 'polars', 'numpy', 'PIL', 'fastapi', 'indexer', 'search'}\n"
        "print('heavy:', *sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "heavy:"
