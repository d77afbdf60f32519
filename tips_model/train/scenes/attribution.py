"""Attribution text for the drawings: authors and licences, to go with everything made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tips_model.train.scenes.drawings import DrawingSet, fetch, read_attribution


def attribution_text(sets: Sequence[DrawingSet], subject: str, folder: Path | None = None) -> str:
    """Markdown with author, source and licence of each drawing set, from its own package.

    `subject` begins the first sentence, such as "These pictures".
    """
    lines = [
        "# Attribution",
        "",
        f"{subject} are composed of emoji drawings, which were cropped, scaled, rotated, "
        "mirrored, partly recoloured and placed on procedural backgrounds.",
        "",
        "| Drawings | Author | Source | Licence | Package |",
        "|---|---|---|---|---|",
    ]
    for drawings in sets:
        told = read_attribution(fetch(drawings, folder))
        lines.append(
            f"| {told.title} | {told.author} | {told.source} | "
            f"[{told.licence}]({told.licence_url}) | npm `{drawings.package}` |"
        )
    return "\n".join(lines) + "\n"
