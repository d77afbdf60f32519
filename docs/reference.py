"""The generated part of the documentation.

    python docs/reference.py     # writes the tree of files into docs/architecture.md

`make docs` (mkdocs, see mkdocs.yml) calls the hooks below: they add the reference of the commands,
read from click, and a page for each module, read from its docstrings.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGES = ("tips_model", "indexer", "search", "ui")
ARCHITECTURE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- tree: python docs/reference.py -->\n", "<!-- end of tree -->\n"
INDENT = 2
COLUMN = 34  # where the phrases stand
LONG = 100  # characters of a phrase
PAGES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
LINK = re.compile(r"(?<!!)\[([^\]\[]*)\]\((?!https?:|#)([^)#]*)(#[^)]*)?\)")


def modules() -> Iterator[Path]:
    """All modules of the packages, relative to the repository, those at a package's top first."""

    def place(file: Path) -> list[tuple[bool, bool, str]]:
        return [(part[-3:] != ".py", part != "__init__.py", part) for part in file.parts]

    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py"), key=place):
            if "vendor" not in file.parts:
                yield file.relative_to(ROOT)


def phrase(file: Path) -> str:
    """What a module is: the first sentence of its docstring, or the part before its first colon or
    semicolon where it is long.
    """
    text = ast.get_docstring(ast.parse((ROOT / file).read_text("utf-8"))) or ""
    first = " ".join(text.partition("\n\n")[0].split())
    sentence = re.split(r"[.:]$|\.\s", first)[0]
    return sentence if len(sentence) <= LONG else re.split(r"[:;]\s", sentence)[0]


def tree() -> str:
    """All modules as a tree of folders, a line and a phrase each."""
    lines = []
    for file in modules():
        name, depth = file.name, len(file.parts) - 1
        if name == "__init__.py":
            name, depth = f"{file.parent.name}/", depth - 1
        lines.append(f"{' ' * INDENT * depth + name:{COLUMN}}  {phrase(file)}")
    return "```\n" + "\n".join(lines) + "\n```\n"


def with_tree(text: str) -> str:
    """The page with its tree as the files are now."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + tree() + END + rest.partition(END)[2]


def commands() -> str:
    """A page of all commands, with what `--help` says of each."""
    import click

    from ui.cli import cli

    def page(
        command: click.Command, names: list[str], above: click.Context | None
    ) -> Iterator[str]:
        settings = {"terminal_width": 100, **command.context_settings}
        context = click.Context(command, info_name=names[-1], parent=above, **settings)
        yield f"{'#' * len(names)} {' '.join(names)}\n\n```text\n{command.get_help(context)}\n```\n"
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                yield from page(below, [*names, name], context)

    return "\n".join(page(cli, ["tips"], None))


def dotted(file: Path) -> str:
    """The name by which a module is imported."""
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


def modules_page() -> str:
    """A list of all modules with links to their pages."""
    lines = ["# Modules\n"]
    for file in modules():
        name = dotted(file)
        heading = f"\n## {name}\n\n" if "." not in name else ""
        lines.append(f"{heading}- [`{name}`](api/{name}.md): {phrase(file)}")
    return "\n".join(lines) + "\n"


def linked(text: str, *, inside: bool) -> str:
    """A page with its links as they hold in the documentation; those to folders and to other files
    of the repository become plain text. inside: the page is in docs/, else at the top.
    """
    pages = {source: page for page, source in PAGES.items()}

    def link(match: re.Match[str]) -> str:
        words, place, anchor = match[1], match[2], match[3] or ""
        place = f"docs/{place}".replace("docs/../", "") if inside else place
        if (ROOT / place).is_dir():
            return words
        if place.startswith("docs/"):
            return f"[{words}]({place.removeprefix('docs/')}{anchor})"
        return f"[{words}]({pages[place]}{anchor})" if place in pages else words

    return LINK.sub(link, text)


def on_files(files: Any, config: Any) -> Any:
    """Hook of mkdocs: add the generated pages."""
    from mkdocs.structure.files import File

    pages = {
        page: linked((ROOT / source).read_text("utf-8"), inside=False).replace("](docs/", "](")
        for page, source in PAGES.items()
    }
    pages |= {"commands.md": commands(), "modules.md": modules_page()}
    pages |= {f"api/{dotted(file)}.md": f"::: {dotted(file)}\n" for file in modules()}
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Any, **context: Any) -> str:
    """Hook of mkdocs: links from docs/ to other files of the repository become plain text."""
    return markdown if page.file.generated_by else linked(markdown, inside=True)


if __name__ == "__main__":
    ARCHITECTURE.write_text(with_tree(ARCHITECTURE.read_text("utf-8")), "utf-8")
