"""The files behind a job, and the lock that says whether its process is there."""

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

TRIES, TRY_AGAIN = 25, 0.02  # seconds; those who only look hold the lock for less


class JobError(TipsError):
    """A job cannot be started, paused or resumed now."""


@dataclass(frozen=True, slots=True)
class JobFiles:
    """Where the job of a collection is written down.

    asked: what is wanted, by those who start and stop it. progress: how far it is, by its process
    (see `ui.progress_file`). lock: held by the process. log: what it says.
    """

    asked: Path
    progress: Path
    lock: Path
    log: Path

    @classmethod
    def of(cls, folder: Path) -> JobFiles:
        """The files for the collection in `folder`; nothing is made yet."""
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
        """Whether the job is wanted no more, or not now; raises `JobError`."""
        return bool((self.read(self.asked) or {}).get("intent", "run") != "run")

    def make(self) -> None:
        """Make the folder and the lock; raises `JobError`."""
        try:
            self.lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.lock.touch()
        except OSError as error:
            raise JobError(
                f"{self.lock.parent} cannot be written ({error.strerror}); change its permissions."
            ) from error

    def read(self, file: Path) -> dict[str, Any] | None:
        """One of the files, None when it is not there; raises `JobError`."""
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
        """Write what is wanted; raises `JobError`."""
        try:
            write_alone(self.asked, json.dumps(asked))
        except OSError as error:
            raise JobError(f"{self.asked} cannot be written ({error.strerror}).") from error

    def launch(self, command: list[str], lock: int) -> subprocess.Popen[bytes]:
        """Start the process, on its own, with the lock in its hands."""
        # Streamlit copies the secrets of a page into its environment; a job has no use for them.
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
        """The lock, for a process to inherit: closed here and not released, it stays with it. None
        when a process has it.
        """
        with open(self.lock, "r+b") as file:
            tries = TRIES
            while not (held := lock(file.fileno())) and (tries := tries - 1):
                time.sleep(TRY_AGAIN)
            yield file.fileno() if held else None

    def held_by_job(self) -> bool:
        """Whether the process is there."""
        try:
            with open(self.lock, "r+b") as file:
                return not lock(file.fileno(), shared=True)
        except FileNotFoundError:
            return False

    def last_words(self) -> str:
        """The last line that the process said, or nothing."""
        try:
            lines = self.log.read_text("utf-8", "replace").split("\n")
        except FileNotFoundError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
