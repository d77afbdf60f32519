"""The command `tips`: the click group, its error handling and exit codes.

    tips index ~/Pictures
    tips regions "red umbrella" --draw hits/

Results go to stdout, messages to stderr. Exit codes: 0 done, 1 nothing found, 2 a usage error or a
problem that the message names, 70 an internal error, 130 stopped by Ctrl-C. Heavy libraries are
imported inside the commands, so that `tips --help` is instant.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any

import click

from ui.commands.again import again
from ui.commands.backup import backup, restore
from ui.commands.caption import caption
from ui.commands.compare import compare
from ui.commands.data import data
from ui.commands.demo import demo
from ui.commands.doctor import doctor
from ui.commands.duplicates import duplicates
from ui.commands.eval import evaluate
from ui.commands.export import export
from ui.commands.forget import forget
from ui.commands.index import index
from ui.commands.models import models
from ui.commands.prune import prune, relocate
from ui.commands.rebuild import rebuild
from ui.commands.scenes import scenes
from ui.commands.search import layout, regions, search
from ui.commands.serve import serve
from ui.commands.status import status, verify
from ui.commands.switch import switch
from ui.commands.train import train
from ui.commands.ui import ui
from ui.commands.watch import watch
from ui.formatting import shown
from ui.options import STOPPED
from ui.render import say, talk
from ui.streams import release_stdout, settle_streams

DEFECT = 70  # EX_SOFTWARE of sysexits.h


class TipsGroup(click.Group):
    """A group that lists its commands in the order of use, and turns errors into one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which they were added."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a `TipsError`, or a file that cannot be used, becomes a sentence and
        exit code 2, Ctrl-C becomes 130.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            talk().print("Stopped. Rerun to resume.")
            ctx.exit(STOPPED)
        except BrokenPipeError:
            ctx.exit(0)  # the reader closed the pipe, as in `tips search ... | head`
        except Exception as error:
            from search.errors import QuerySyntaxError
            from tips_model.errors import TipsError  # imports the encoder: only when needed

            if not isinstance(error, TipsError | OSError):
                raise
            sentence = str(error)
            if isinstance(error, OSError) and error.strerror:
                about = f"{shown(os.fsdecode(error.filename))}: " if error.filename else ""
                sentence = f"{about}{error.strerror}."
            say(f"tips: {sentence}", style="red")
            if isinstance(error, QuerySyntaxError):
                say(error.marked())
            ctx.exit(2)


@click.group(cls=TipsGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tips-search", prog_name="tips")
def cli() -> None:
    """Photos go in, and a sentence finds the photo and the place in it.

    \b
    Example:
      tips index ~/Pictures
      tips search "a red umbrella in the rain"
      tips regions "red umbrella" --draw hits/
      tips ui
    """


USING = (
    index,
    watch,
    search,
    regions,
    layout,
    again,
    duplicates,
    export,
    status,
    rebuild,
    verify,
    backup,
    restore,
    doctor,
    prune,
    relocate,
    switch,
    compare,
    forget,
    models,
    demo,
    ui,
    serve,
)
TRAINING = (scenes, data, caption, train, evaluate)
for command in (*USING, *TRAINING):
    cli.add_command(command)


def main() -> None:
    """The entry point `tips`. An internal error prints its traceback and exits with 70, so that 1
    only ever means "nothing found".
    """
    settle_streams()
    try:
        cli(prog_name="tips")
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException:  # a panic in an engine is not an Exception
        traceback.print_exc()
        sys.exit(DEFECT)
    finally:
        release_stdout()
