"""The gate: who is let in, who is not, and that guessing is slow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from click.testing import CliRunner
from streamlit import config
from streamlit.runtime import secrets as streamlit_secrets
from streamlit.testing.v1 import AppTest

from ui.app import access
from ui.app.access import Delay
from ui.cli import cli
from ui.commands.ui import streamlit_command

APP = Path(__file__).with_name("access_app.py")


@pytest.fixture(autouse=True)
def new_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody has failed yet, and no secret is left over."""
    monkeypatch.setattr(access, "_DELAY", Delay())
    yield
    streamlit_secrets.secrets_singleton._reset()


@pytest.fixture
def page() -> Callable[..., AppTest]:
    """A page with these secrets, run once."""

    def run(**secrets: object) -> AppTest:
        page = AppTest.from_file(str(APP), default_timeout=60)
        page.secrets = secrets
        return page.run()

    return run


def is_open(page: AppTest) -> bool:
    """Whether the photos are shown."""
    assert not page.exception
    return "the photos" in [part.value for part in page.markdown]


def enter(page: AppTest, password: str) -> AppTest:
    """Type a password and send it."""
    page.text_input[0].set_value(password)
    return page.button[0].click().run()


def test_without_secrets_there_is_no_gate(page: Callable[..., AppTest]) -> None:
    assert is_open(page())


@pytest.mark.parametrize("password", ["correct horse", "pässwörd 日本", " "])
def test_the_password_opens_and_nothing_else_does(
    page: Callable[..., AppTest], password: str
) -> None:
    gate = page(password=password)
    assert not is_open(gate)
    for wrong in ("", "Correct horse", password + "x"):
        assert not is_open(enter(gate, wrong))
        assert gate.error[0].value.startswith("Wrong password.")
    access._DELAY = Delay()
    assert is_open(enter(gate, password))
    assert is_open(gate.run())
    assert not dict(gate.query_params)
    assert not is_open(page(password=password))  # another session


@pytest.mark.parametrize("password", ["", 1234, ["a"]])
def test_a_password_that_is_none_lets_nobody_in(
    page: Callable[..., AppTest], password: object
) -> None:
    gate = page(password=password)
    assert not is_open(gate)
    assert "must be text" in gate.error[0].value


def test_guessing_gets_slow_for_all_sessions(page: Callable[..., AppTest]) -> None:
    first, second = page(password="right"), page(password="right")
    for _ in range(access.FREE_FAILURES + 2):
        enter(first, "wrong")
        access._DELAY._until = float("-inf")  # the guesser waits
    enter(first, "wrong")
    assert "Wait 8 s" in first.error[0].value
    assert not is_open(enter(second, "right"))
    assert "Wait 8 s" in second.error[0].value


def test_the_delay_grows_and_ends_with_the_right_password() -> None:
    now = 0.0
    delay = Delay(lambda: now)
    waits = []
    for _ in range(12):
        right, wait = delay.attempt(lambda: False)
        assert not right
        waits.append(wait)
        now += wait
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert delay.attempt(lambda: True) == (True, 0.0)
    assert delay.attempt(lambda: False) == (False, 0.0)


def test_while_there_is_time_to_wait_the_password_is_not_asked() -> None:
    delay = Delay(lambda: 0.0)
    for _ in range(access.FREE_FAILURES):
        delay.attempt(lambda: False)
    asked = []
    assert delay.attempt(lambda: bool(asked.append(1)) or True) == (False, 1.0)
    assert not asked


@pytest.mark.parametrize("text", ["password = ", 'password = "a"\n[auth'])
def test_a_broken_file_of_secrets_lets_nobody_in(
    page: Callable[..., AppTest], tmp_path: Path, text: str
) -> None:
    (tmp_path / "secrets.toml").write_text(text)
    with _files(tmp_path / "secrets.toml"):
        gate = page()
    assert not is_open(gate)
    assert "nobody can log in" in gate.error[0].value


def test_a_named_file_of_secrets_that_is_gone_lets_nobody_in(
    page: Callable[..., AppTest], tmp_path: Path
) -> None:
    with _files(tmp_path / "secrets.toml"):
        assert not is_open(page())


def test_the_file_that_tips_ui_names_is_the_gate(
    page: Callable[..., AppTest], tmp_path: Path
) -> None:
    (tmp_path / "trip.toml").write_text('password = "from a file"')
    with _files(tmp_path / "trip.toml"):
        gate = page()
        assert not is_open(gate)
        assert is_open(enter(gate, "from a file"))
    command = streamlit_command("0.0.0.0", 80, browser=False, secrets=tmp_path / "trip.toml")
    assert f"--secrets.files={tmp_path / 'trip.toml'}" in command


def test_an_empty_section_lets_nobody_in(page: Callable[..., AppTest]) -> None:
    gate = page(auth={})
    assert not is_open(gate)
    assert "is empty" in gate.error[0].value


def test_a_login_needs_authlib_and_says_so(
    page: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "is_authlib_installed", lambda: False)
    gate = page(auth={"client_id": "photos"})
    assert not is_open(gate)
    assert "pip install Authlib" in gate.error[0].value.replace("\\", "")


@pytest.mark.parametrize(
    ("who", "may"),
    [
        ({"email": "Anna@Example.org", "email_verified": True}, True),
        ({"email": "bob@example.com"}, True),
        ({"email": "bob@evil-example.com"}, False),
        ({"email": "anna@example.org.evil.net"}, False),
        ({"email": "anna@example.org", "email_verified": False}, False),
        ({"name": "anna@example.org"}, False),
    ],
)
def test_who_is_logged_in_still_has_to_be_on_the_list(
    page: Callable[..., AppTest],
    monkeypatch: pytest.MonkeyPatch,
    who: dict[str, object],
    may: bool,
) -> None:
    monkeypatch.setattr(access, "is_authlib_installed", lambda: True)
    monkeypatch.setattr(st, "user", _User(who | {"is_logged_in": True}))
    gate = page(auth={"client_id": "photos"}, allow=["anna@example.org", "@example.com"])
    assert is_open(gate) is may
    if not may:
        assert "has no access" in gate.error[0].value


def test_every_provider_has_a_button(
    page: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "is_authlib_installed", lambda: True)
    monkeypatch.setattr(st, "user", _User({"is_logged_in": False}))
    gate = page(auth={"redirect_uri": "x", "google": {"client_id": "a"}, "okta": {}})
    assert not is_open(gate)
    assert [button.label for button in gate.button] == ["Log in with Google", "Log in with Okta"]
    assert [b.label for b in page(auth={"client_id": "a"}).button] == ["Log in"]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.toml", "password = ", "cannot be read"),
        ("a.toml", 'token = "a"', "neither a password nor"),
        ("a.toml", 'password = ""', "neither a password nor"),
        ("a.txt", 'password = "a"', "has to be called .toml"),
    ],
)
def test_tips_ui_refuses_secrets_that_would_keep_nobody_out(
    tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    (tmp_path / name).write_text(text)
    result = CliRunner().invoke(cli, ["ui", "--secrets", str(tmp_path / name)])
    assert result.exit_code == 2
    assert sentence in " ".join(result.output.split())


class _User(dict[str, object]):
    """What a provider tells of somebody."""

    def __getattr__(self, name: str) -> object:
        return self[name]


class _files:
    """Name the files of secrets as the command line does."""

    def __init__(self, *files: Path) -> None:
        self.files = [str(file) for file in files]

    def __enter__(self) -> None:
        self.before = config.get_option("secrets.files")
        config.set_option("secrets.files", self.files)

    def __exit__(self, *error: object) -> None:
        config.set_option("secrets.files", self.before, where_defined="<default>")
