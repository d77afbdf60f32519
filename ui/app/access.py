"""Optional access control for the app: a password, or an OpenID Connect login.

Both are configured in a file `secrets.toml`. `tips ui --secrets FILE` names it; otherwise Streamlit
looks for `.streamlit/secrets.toml` in the user's home, in the folder in which the server was
started, and beside `server.py`; later ones win. One line sets a password:

    password = "five random words are enough"

For OpenID Connect (Google, Microsoft, Okta, Keycloak, ...; needs `pip install Authlib`):

    allow = ["anna@example.org", "@example.com"]   # who may enter: addresses, or all of a domain

    [auth]
    redirect_uri = "https://photos.example.org/oauth2callback"
    cookie_secret = "a long random text"
    client_id = "..."
    client_secret = "..."
    server_metadata_url = "https://accounts.google.com/.well-known/openid-configuration"

Without `allow`, every user of the provider is admitted; with a public provider that is everybody.
Several providers are sections `[auth.NAME]`, as Streamlit documents them. The password has to be
entered once for each opened page: it is never kept in the browser, the URL or a log. Put TLS in
front of both (`server.sslCertFile`, or a proxy).
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.auth_util import is_authlib_installed
from streamlit.errors import StreamlitSecretNotFoundError

from tips_model.errors import TipsError
from ui.formatting import plain

ADMITTED = "admitted"
FREE_FAILURES = 3
LONGEST_DELAY = 60.0  # seconds


class AccessError(TipsError):
    """The access control is misconfigured; nobody is admitted."""


class Delay:
    """Rate limit for password guesses, shared by all sessions of a server: after three wrong
    passwords the next attempt has to wait 1, 2, 4, ... up to 60 seconds.

    clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts without failed attempts."""
        self._clock, self._lock = clock, threading.Lock()
        self._failures = 0
        self._until = float("-inf")

    def attempt(self, right: Callable[[], bool]) -> tuple[bool, float]:
        """Try once: whether it was right, and the seconds to wait before the next attempt.

        During the wait, `right` is not called.
        """
        with self._lock:
            now = self._clock()
            if now < self._until:
                return False, self._until - now
            if right():
                self._failures = 0
                return True, 0.0
            self._failures += 1
            over = self._failures - FREE_FAILURES
            delay = min(2.0 ** min(over, 10), LONGEST_DELAY) if over >= 0 else 0.0
            self._until = now + delay
            return False, delay


_DELAY = Delay()  # one per server: a module is loaded once


def admitted() -> bool:
    """Draw the login, if access control is on; return whether the page may be shown."""
    try:
        secrets = _secrets()
        if "auth" in secrets:
            return _by_provider(secrets)
        if "password" in secrets:
            return _by_password(secrets["password"])
    except AccessError as error:
        st.error(plain(str(error)), icon=":material/lock:")
        return False
    return True


def _secrets() -> Mapping[str, Any]:
    """The secrets; empty when there is no file. An unreadable file must not grant access: it raises
    `AccessError`.
    """
    files = [Path(name) for name in st.get_option("secrets.files")]
    try:
        return st.secrets.to_dict()
    except (StreamlitSecretNotFoundError, OSError, ValueError) as error:
        named = st.config.is_manually_set("secrets.files")
        if named or any(file.exists() for file in files):
            raise AccessError(
                "The secrets file of this page cannot be read, so nobody can log in; fix it and "
                "restart `tips ui`."
            ) from error
        return {}


def _by_password(password: object) -> bool:
    if not isinstance(password, str) or not password:
        raise AccessError('The password in the secrets must be text: password = "...".')
    if st.session_state.get(ADMITTED):
        return True
    _title()
    with st.form("gate", width=420, border=False):
        typed = st.text_input("Password", type="password", autocomplete="current-password")
        sent = st.form_submit_button("Enter", type="primary", icon=":material/login:")
    if not sent:
        return False
    right, seconds = _DELAY.attempt(lambda: hmac.compare_digest(typed.encode(), password.encode()))
    if right:
        st.session_state[ADMITTED] = True
        st.rerun()
    wait = f" Wait {seconds:.0f} s before the next attempt." if seconds >= 1 else ""
    st.error(f"Wrong password.{wait}", icon=":material/lock:")
    return False


def _by_provider(secrets: Mapping[str, Any]) -> bool:
    auth = secrets["auth"]
    if not isinstance(auth, Mapping) or not auth:
        raise AccessError("The section [auth] of the secrets is empty; configure a provider there.")
    if not is_authlib_installed():
        raise AccessError(
            "The login of this page needs Authlib; install it with `pip install Authlib`, and "
            "restart `tips ui`."
        )
    if st.user.is_logged_in:
        return _allowed(secrets)
    _title()
    named = [name for name, value in auth.items() if isinstance(value, Mapping)]
    if "client_id" in auth or not named:
        st.button("Log in", type="primary", icon=":material/login:", on_click=st.login)
    for name in named:
        st.button(
            f"Log in with {plain(name.title())}",
            key=f"login-{name}",
            icon=":material/login:",
            on_click=st.login,
            args=(name,),
        )
    return False


def _allowed(secrets: Mapping[str, Any]) -> bool:
    if "allow" not in secrets:
        return True
    allow = secrets["allow"]
    if not isinstance(allow, list) or not all(isinstance(one, str) for one in allow):
        raise AccessError(
            'The list in the secrets must contain text: allow = ["anna@example.org"].'
        )
    address = str(st.user.get("email") or "").casefold()
    # Some providers accept unverified addresses in profiles, and mark them as such.
    verified = st.user.get("email_verified", True) is not False
    if address and verified and any(_fits(address, one.casefold()) for one in allow):
        return True
    _title()
    st.error(
        f"{plain(address) or 'This login'} has no access; ask the owner of this page.",
        icon=":material/lock:",
    )
    st.button("Log out", icon=":material/logout:", on_click=st.logout)
    return False


def _fits(address: str, allowed: str) -> bool:
    return address.endswith(allowed) if allowed.startswith("@") else address == allowed


def _title() -> None:
    st.markdown("### :material/image_search: tips-search")
