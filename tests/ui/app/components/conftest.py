"""One page and one browser for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.ui.app.components.serving import chromium, served


@pytest.fixture(scope="module")
def address(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Where the page is served that the module's `SCRIPT` draws."""
    with served(request.module.SCRIPT, tmp_path_factory.mktemp("page")) as address:
        yield address


@pytest.fixture(scope="module")
def browser(address: str) -> Iterator[Browser]:
    """A browser, if there is a page."""
    with chromium() as browser:
        yield browser
