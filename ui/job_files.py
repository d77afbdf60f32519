"""The files behind a background job, and the lock that shows whether its process is alive."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tips_model.atomic import write_alone
from tips_model.errors import TipsError
from tips_model.locks import lock
from tips_model.untrusted import parse_json
from ui.registry import data_folder, described

TRIES, TRY_AGAIN = 25, 0.02  # seconds; a process that only checks holds the lock for less


class JobError(TipsError):
    """A job cannot be started, paused or resumed now."""


@dataclass(frozen=True, slots=True)
class JobFiles:
    """Where the state of a collection's job is stored.

    asked: what is requested, written by whoever starts and stops the job. progress: how far it is,
    written by its process (see `ui.progress_file`). lock: held by the process. log: its output.
    """

    asked: Path
    progress: Path
    lock: Path
    log: Path

    @classmethod
    def of(cls, folder: Path) -> JobFiles:
        """The files for the collection in `folder`; nothing is created yet."""
        path = os.fsencode(os.path.abspath(folder))
        digest = hashlib.blake2b(path, digest_size=6).hexdigest()
        return cls._named(data_folder() / "jobs" / f"{described(folder).name}-{digest}")

    @classmethod
    def beside(cls, progress: Path) -> JobFiles:
        """The files of the job whose process writes `progress`."""
        return cls._named(progress.with_name(progress.name.removesuffix(".progress.json")))

    @classmethod
    def _named(cls, base: Path) -> JobFiles:
        kinds = ("job.json", "progress.json", "lock", "log")
        return cls(*(base.with_name(f"{base.name}.{kind}") for kind in kinds))

    def asked_to_end(self) -> bool:
        """Whether the job was asked to stop or pause; raises `JobError`."""
        return bool((self.read(self.asked) or {}).get("intent", "run") != "run")

    def make(self) -> None:
        """Create the folder and the lock; raises `JobError`."""
        try:
            self.lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.lock.touch()
        except OSError as error:
            raise JobError(
                f"{self.lock.parent} cannot be written ({error.strerror}); change its permissions."
            ) from error

    def read(self, file: Path) -> dict[str, Any] | None:
        """The content of one of the files, None if it is missing; raises `JobError`."""
        try:
            stored = parse_json(file.read_bytes())
            if not isinstance(stored, dict):
                raise ValueError("it is no set of fields")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise JobError(f"{file} cannot be read ({error}); delete it.") from error
        return stored

    def write(self, asked: dict[str, Any]) -> None:
        """Write what is requested; raises `JobError`."""
        try:
            write_alone(self.asked, json.dumps(asked))
        except OSError as error:
            raise JobError(f"{self.asked} cannot be written ({error.strerror}).") from error

    def launch(self, command: list[str], lock: int) -> subprocess.Popen[bytes]:
        """Start the process in a session of its own; it inherits the lock."""
        # Streamlit copies the page's secrets into its environment; a job does not need them.
        environment = {key: value for key, value in os.environ.items() if key != "password"}
        with open(self.log, "wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
                pass_fds=(lock,),
            )

    @contextmanager
    def hold(self) -> Iterator[int | None]:
        """The lock, for a process to inherit: closing it here does not release it. None when a
        process holds it.
        """
        with open(self.lock, "r+b") as file:
            tries = TRIES
            while not (held := lock(file.fileno())) and (tries := tries - 1):
                time.sleep(TRY_AGAIN)
            yield file.fileno() if held else None

    def held_by_job(self) -> bool:
        """Whether the job's process is alive."""
        try:
            with open(self.lock, "r+b") as file:
                return not lock(file.fileno(), shared=True)
        except FileNotFoundError:
            return False

    def last_words(self) -> str:
        """The last line of the process's output, or ""."""
        try:
            lines = self.log.read_text("utf-8", "replace").split("\n")
        except FileNotFoundError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
