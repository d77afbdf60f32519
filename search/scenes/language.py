"""Parse the query language: a plain sentence, weighted terms, or a scene of things with places.

    dog left of car                  also right of, above, below, inside, next to
    kite top left                    also `at the top`, `in the centre`, `on the right`, ...
    tiny dog left of huge tree       sizes in the picture: tiny, small, large (big), huge
    >=3 apples                       also <=2, =1, `at least 3`, `exactly two`, ... up to 8
    dog and not cat                  `and` joins, `and not`, `but not`, `, not` exclude
    not (cat inside box) and dog     parentheses group
    "top hat" left of "salt and pepper"    quotes keep a text in one piece and literal
    2:red + mug - cup above table    weights, `+`, `-` and picture files bind closest

**Which words are signs.** Most words are ambiguous ("a man and a woman", "large intestine", "top
hat"), and a plain sentence must remain one. So:

1.  A relation between two things, a comparison before a thing (`>=3 apples`, `at least 3 apples`),
    a position of two words (`top left`) or with a preposition (`at the top`) after a thing, and
    `and not`, `but not`, `, not` are signs in every query.
2.  In CAPITALS these are also signs: AND, NOT, and TINY, SMALL, LARGE, HUGE before or after a thing
    and TOP, BOTTOM, LEFT, RIGHT, CENTRE after it (unless the whole query is in capitals).
3.  In a query with a sign of these kinds, lower-case `and`, a leading `not`, a leading size and a
    leading number (`3 apples` and `two dogs` mean exactly that many) are signs as well.
4.  Without one they are plain text when searching for photos. When searching for places, `and` is a
    sign (each thing has a place), and so is a leading `not` (which alone leaves nothing to look
    for), and a size or number before at most three words.
5.  Phrases that contain such a word with another meaning stay whole:
    `search/word_lists/phrases.txt`.
6.  Nothing else is a sign: not in, on, under, near, behind, with, without, or. A single word such
    as `above` needs something on both sides ("a view from above" is a text), and quoted text is
    literal.

The grammar is `search/scenes/language.lark`. Syntax errors are reported with their spot.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from search.errors import QueryError, QuerySyntaxError
from search.query import ImageTerm, Query, check_length
from search.scenes.phrase import SHORT, Phrase, uncountable
from search.scenes.scene import And, Chain, Clause, Not, Relation, Scene, Thing
from search.word_lists import word_list

Node = Tree[Token]
RELATIONS: dict[str, Relation] = {
    "LEFT": "left of",
    "RIGHT": "right of",
    "ABOVE": "above",
    "BELOW": "below",
    "INSIDE": "inside",
    "NEXT": "next to",
}
TYPOGRAPHIC = str.maketrans(dict.fromkeys("“”„‟«»", '"'))
"""Typographic quotes, as phones type them."""
QUOTED = re.compile(r'"[^"]*"')
NAMED_FILE = re.compile(r"(?:^|[\s(:])(?:\.{0,2}/|~/)")
MOST_THINGS = 24
DEEPEST = 40
"""Maximum depth of the tree; a `not` in parentheses takes three levels."""
UNMISTAKABLE = re.compile(
    r"(?:^|[\s(])(?:(?:left|right)\s+of|next\s+to|and\s+not|but\s+not|NOT|AND|[<>]=?\s*\d+|=\d+)"
    r"(?=[\s)]|$)"
)
"""With these in it, a query that the grammar rejects is a faulty scene, not a sentence."""


def parse(text: str, *, places: bool = False) -> Query | Scene:
    """Parse user input: a plain query, or a scene if it has signs of one (see above).

    `places`: searching for places, not photos. Raises `QueryError`; for a syntax error, a
    `QuerySyntaxError` with the spot.
    """
    check_length(text)
    text = text.translate(TYPOGRAPHIC)
    line = " ".join(text.split())
    if not line or line.count('"') % 2:
        return Query.parse(text)  # which rejects it
    try:
        tree = _parser().parse(_without_capitals(line))
    except UnexpectedInput as error:
        bare = QUOTED.sub("_", line)
        if UNMISTAKABLE.search(bare) or (places and bare.count("(") != bare.count(")")):
            raise _refused(error, line) from None
        return Query.parse(text)
    _check_size(tree, line)
    for node in tree.find_data("thing"):
        Phrase.check(_tokens(node), line)
    if _is_strong(tree, line) or (places and _is_weak(tree, line)):
        return Scene(_clause(tree.children[0], line), line)
    return Query.parse(text)


def refuse_files(words: str) -> None:
    """Raise `QueryError` for words that name a picture file outside quotes: a remote user need not
    own the disk.
    """
    if NAMED_FILE.search(QUOTED.sub("", words.translate(TYPOGRAPHIC))):
        raise QueryError('A picture file cannot be named here; put the words in quotes ("...").')


def with_pictures(query: Query | Scene, pictures: Sequence[ImageTerm]) -> Query | Scene:
    """Add whole pictures to the query; raises `QueryError` for a scene with any."""
    if not pictures:
        return query
    if isinstance(query, Scene):
        raise QueryError(
            f"'{query}' asks for things in their places and cannot be mixed with a whole picture; "
            "leave one of the two out, or put the words in quotes to search for them as text."
        )
    return Query(query.texts, (*query.images, *pictures))


@cache
def _parser() -> Lark:
    grammar = files("search.scenes").joinpath("language.lark").read_text("utf-8")
    phrases = sorted(word_list("phrases"), key=len, reverse=True)
    pattern = "|".join(_in_small_letters(phrase) for phrase in phrases)
    grammar += f"\nPHRASE.20: /(?:{pattern})(?=[\\s,)]|$)/\n"
    return Lark(grammar, parser="lalr", lexer="contextual")


def _in_small_letters(phrase: str) -> str:
    """A pattern for a phrase whose words may be capitalised; an all-capitals TINY is a sign."""
    return re.sub(r"\b[a-z]", lambda match: f"[{match[0]}{match[0].upper()}]", re.escape(phrase))


def _without_capitals(line: str) -> str:
    """The line unchanged, or in lower case if it is all in capitals, which then mean nothing."""
    if re.search("[a-z]", line):
        return line
    return re.sub("[A-Z]+", lambda match: match[0].lower(), line)


def _check_size(tree: Node, line: str) -> None:
    """Reject queries that would take minutes, or are nested too deeply."""
    count = sum(1 for _ in tree.find_data("thing"))
    if count > MOST_THINGS:
        raise QueryError(
            f"The query asks for {count} things, and at most {MOST_THINGS} can be looked for "
            "together; leave some out, or put words in quotes to search for them as text."
        )
    level: list[Node] = [tree]
    for _ in range(DEEPEST):
        level = [child for node in level for child in node.children if isinstance(child, Tree)]
    if level:
        token = next(token for node in level for token in node.scan_values(_is_token))
        spot = (token.start_pos or 0, token.end_pos or 0)
        raise QuerySyntaxError("this is nested too deep; write fewer 'not' and '('.", line, spot)


def _is_token(value: object) -> bool:
    return isinstance(value, Token)


def _is_strong(tree: Node, line: str) -> bool:
    """Whether the query has a sign that always makes it a scene (rules 1 and 2)."""
    for node in tree.iter_subtrees():
        if node.data == "relation":
            return True
        if node.data == "thing" and Phrase.read(_tokens(node), line, small=False).signs:
            return True
        upper = [c for c in node.children if isinstance(c, Token) and c.type.startswith("UPPER_")]
        if upper and node.data != "thing":
            return True
        if node.data == "clauses":
            later = node.children[1:]
            if any(isinstance(c, Tree) and c.data == "negation" for c in later):
                return True
    return False


def _is_weak(tree: Node, line: str) -> bool:
    """Whether a query without strong signs is a scene when searching for places (rule 4)."""
    whole = Query.parse(line)
    if whole.images or len(whole.texts) != 1 or whole.texts[0].weight != 1:
        return False
    (clauses,) = tree.children
    assert isinstance(clauses, Tree)
    if len(clauses.children) > 1 or next(tree.find_data("negation"), None) is not None:
        return True
    (thing,) = tree.find_data("thing")
    tokens = _tokens(thing)
    if any(uncountable(token) for token in tokens[:2]):
        return False
    phrase = Phrase.read(tokens, line, small=True)
    return phrase.signs and len(phrase.text(line).split()) <= SHORT


def _clause(node: Node | Token, line: str) -> Clause:
    assert isinstance(node, Tree)
    parts = [child for child in node.children if isinstance(child, Tree)]
    if node.data == "chain":
        things = tuple(_thing(part, line) for part in parts if part.data == "thing")
        relations = tuple(_relation(part) for part in parts if part.data == "relation")
        return Chain(things, relations)
    clauses = tuple(_clause(part, line) for part in parts)
    if node.data in ("negation", "apart"):
        return Not(clauses[0])
    return clauses[0] if len(clauses) == 1 else And(clauses)


def _relation(node: Node) -> Relation:
    return RELATIONS[_tokens(node)[0].type]


def _thing(node: Node, line: str) -> Thing:
    phrase = Phrase.read(_tokens(node), line, small=True)
    phrase.check_rest(_tokens(node), line)
    try:
        query = Query.parse(phrase.text(line))
    except QueryError as error:
        raise QuerySyntaxError(str(error), line, (phrase.start, phrase.end)) from None
    return Thing(query, str(query), phrase.count, phrase.size, phrase.position)


def _tokens(node: Node) -> list[Token]:
    return [child for child in node.children if isinstance(child, Token)]


def _refused(error: UnexpectedInput, line: str) -> QuerySyntaxError:
    """Turn a parser error into a message for users."""
    token = getattr(error, "token", None)
    if token is not None and token.type == "$END":  # it has the position of the last token
        spot = (token.start_pos, token.end_pos)
        if "WORD" in getattr(error, "expected", ()):
            return QuerySyntaxError(f"'{line[slice(*spot)]}' needs a thing behind it.", line, spot)
        opened = line.rfind("(")
        return QuerySyntaxError("this '(' is not closed.", line, (opened, opened + 1))
    start = error.pos_in_stream or 0
    word = line[start:].split(" ")[0]
    if word.startswith("("):
        sentence = (
            "a parenthesis cannot stand here; repeat the relation, as in "
            "'dog left of cat and dog left of bird', or put text in quotes."
        )
        return QuerySyntaxError(sentence, line, (start, start + 1))
    sentence = f"'{word}' does not fit here; put words that are meant as text in quotes."
    return QuerySyntaxError(sentence, line, (start, start + len(word)))
