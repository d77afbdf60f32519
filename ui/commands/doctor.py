"""`tips doctor`: check the installation and the collection."""

from __future__ import annotations

from pathlib import Path

import click

from ui.formatting import shown
from ui.options import collection_option, device_option, json_option, pick_device
from ui.render import print_json

PROBLEM = 2
SIGNS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command()
@json_option
@device_option
@collection_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool, device: str, collection: Path) -> None:
    """Check the installation and the collection: one line for each check, with the fix.

    Changes nothing. Exit code 0 if there is no problem (a warning is none), else 2.

    \b
    Example:
      tips doctor
      tips doctor -c ~/all.tips --json
    """
    from ui.doctor import examine

    checks = list(examine(collection, pick_device(device)))
    if as_json:
        print_json([check.to_dict() for check in checks])
    else:
        for check in checks:
            sign = click.style(f"{check.state:8}", SIGNS[check.state])
            click.echo(f"{sign} {check.name:20} {shown(check.text)}")
    if any(check.state == "problem" for check in checks):
        ctx.exit(PROBLEM)
