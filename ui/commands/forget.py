"""`tips forget`: take a collection off this machine's list."""

from __future__ import annotations

import sys

import click

from ui.formatting import shown


@click.command()
@click.argument("name", metavar="COLLECTION")
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget(name: str, yes: bool) -> None:
    """Take COLLECTION, a name or folder of `tips ui`, off the list of collections.

    The collection's folder and your photos are kept; `tips ui -c DIR` lists it again.

    \b
    Example:
      tips forget holiday
      tips forget ~/Pictures.tips --yes
    """
    from pathlib import Path

    from ui import registry

    entries = registry.known()
    entry = next((each for each in entries if each.name == name), None)
    entry = entry or registry.find_folder(Path(name).expanduser())
    if entry is None:
        names = ", ".join(each.name for each in entries) or "none"
        raise click.UsageError(f"{shown(name)} is not on the list; the collections are {names}.")
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("There is no terminal to ask; confirm with --yes.")
        click.confirm(
            f"Forget {entry.title} in {shown(entry.folder)}? Its folder and the photos are kept.",
            abort=True,
            err=True,
        )
    registry.forget(entry.name)
    kept = "Its folder is kept" if entry.present else "Its folder is not there"
    click.echo(f"Forgot {entry.title}. {kept}: {shown(entry.folder)}")
