"""The standard streams of a command: whole when they are closed, and safe for any character."""

from __future__ import annotations

import io
import os
import sys


def settle_streams() -> None:
    """Before a command: give it every stream. A closed one (`>&-`) becomes one to nowhere, and a
    character that the encoding of stdout lacks becomes `?`.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # In this order, each takes its own number, so that no file of the command does.
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  (as long as the process)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def release_stdout() -> None:
    """After a command: write what is left. If the reader has gone, as in `tips search ... | head`,
    drop it, so that the interpreter does not try again and complain.
    """
    try:
        sys.stdout.flush()
    except OSError:  # commands flush what they write, so any other error is already reported
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
