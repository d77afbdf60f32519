"""Texts of a query -> the sentences that are encoded for them, from the templates of a model.

Whole photos are compared with plain texts, as the authors evaluate retrieval; regions with a name
in the templates of the model's configuration (`tips_model/templates.py`).
"""

from __future__ import annotations

import re

from tips_model.templates import TEMPLATES

PLAIN = TEMPLATES["plain"]
LONGEST_NAME = 4
"""A text of more words than these is a sentence, not the name of a thing."""
ARTICLE = re.compile(r"^(?:an?|the)\s+", re.IGNORECASE)


def expand(text: str, templates: tuple[str, ...]) -> list[str]:
    """The sentences for a text: a name in every template (without its own article), a sentence as
    it is.
    """
    text = " ".join(text.split())
    if templates == PLAIN or len(text.split()) > LONGEST_NAME:
        return [text]
    name = bare(text)
    return [template.replace("{}", name) for template in templates]


def bare(text: str) -> str:
    """The name of a thing without its article; a sentence as it is.

    Patches answer to names: with `nano`, 69 % of the peaks for "squirrel" lie on the thing, and
    67 % of those for "a squirrel".
    """
    text = " ".join(text.split())
    return text if len(text.split()) > LONGEST_NAME else ARTICLE.sub("", text) or text
