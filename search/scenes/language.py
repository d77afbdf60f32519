"""Parse the query language: a plain sentence, weighted terms, or a scene of things with places.

    dog left of car                  also right of, above, below, inside, next to
    dog left of cat, right of tree   both relations are the dog's
    kite top left                    also `at the top`, `in the centre`, `on the right`, ...
    tiny dog left of huge tree       sizes in the picture: tiny, small, large (big), huge
    >=3 apples                       also <=2, =1, `at least 3`, `3 or more`, `between 2 and 4`, ...
                                     up to 8; `no apples` and `0 apples` exclude
    dog and not cat                  `and` joins, `and not`, `but not`, `, not` exclude
    street without cars              also `no`, `with no`, `except`, `excluding`, `other than`,
    squirrel -turtle                 `instead of`, `minus`; `-word` and `-"two words"`
    dog OR cat                       either; (dog OR cat) left of car
    not (cat inside box) and dog     parentheses group; AND binds closer than OR
    "top hat" left of 'salt and pepper'    quotes keep a text in one piece and literal
    2:red + mug - cup above table    weights, `+`, `-` and picture files bind closest

**Which words are signs.** Most words are ambiguous ("a man and a woman", "large intestine", "top
hat"), and a plain sentence must remain one. So:

1.  A relation between two things, a comparison before a thing (`>=3 apples`, `at least 3 apples`),
    a position of two words (`top left`) or with a preposition (`at the top`) after a thing, and
    `and not`, `but not`, `, not` (also with `no`) are signs in every query.
2.  In CAPITALS these are also signs: AND, OR, NOT, and TINY, SMALL, LARGE, HUGE before or after a
    thing and TOP, BOTTOM, LEFT, RIGHT, CENTRE after it (unless the whole query is in capitals).
3.  In a query with a sign of these kinds, lower-case `and` and `or`, commas between names of at
    most three words (`dog, cat and bird`), a leading `not`, a leading size and a leading number
    (`3 apples`, `2-3 dogs`, `two dogs` and `a single dog` mean exactly that many) are signs as
    well. Behind an adjective (`search/word_lists/adjectives.txt`) `and`, `or` and commas join
    adjectives: "a red, blue and white shirt" is one thing.
4.  Without one they are plain text when searching for photos. When searching for places, `and`,
    `or` and such commas are signs (each thing has a place), and so is a leading `not` (which alone
    leaves nothing to look for), and a size or number before at most three words.
5.  **A negation is a sign wherever it excludes a thing**: `no`, `not`, `without` and so on. By
    itself it leaves the rest of a sentence as it is: "a man and a woman without hats" looks for "a
    man and a woman" and excludes hats. It goes on to the next sign; `or` and commas continue it
    ("without cars, bikes or people"). `and` behind it could mean either, and is refused; `and no`
    excludes, `and with` and AND do not. A time, season or weather at its end belongs to the whole
    ("a street without cars at night"). A query that only excludes is refused.
6.  Lower-case `or` between a thing and a relation could be read in two ways, and is refused.
7.  Phrases that contain such a word with another meaning stay whole ("no parking", "black or
    white"): `search/word_lists/phrases.txt`, and `no ... sign`, `no ... allowed`.
8.  Nothing else is a sign: not in, on, under, near, behind, with. A single word such as `above`
    needs something on both sides ("a view from above" is a text), a minus between letters is a part
    of the word, quoted text is literal, and closing punctuation does not belong to a thing.
    `-name:value` is left alone: it has the form of a filter.

The grammar is `search/scenes/language.lark`. Syntax errors are reported with their spot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import product
from math import prod

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from search.errors import QueryError, QuerySyntaxError
from search.query import ImageTerm, Query, check_length
from search.scenes.phrase import SHORT, Phrase, uncountable
from search.scenes.scene import (
    And,
    Chain,
    Clause,
    Not,
    Or,
    Relation,
    Scene,
    Thing,
    check_ways,
    excludes,
    things,
    wanted_things,
)
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
INVERSE: dict[Relation, Relation] = {
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
    "next to": "next to",
}
"""The relation of b to a for that of a to b; what is around something has no name."""
TYPOGRAPHIC = str.maketrans(dict.fromkeys("“”„‟«»", '"') | {"’": "'", "‘": "'"})
"""Typographic quotes, as phones type them."""
QUOTED = re.compile(r'"[^"]*"')
SINGLE_QUOTED = re.compile(r"(?<![^\s(-])'(?=\S)([^'\"]*[^\s'\"])'(?=[\s,.?!;:)]|$)")
"""A text in single quotes; the apostrophe in "dog's" opens none, that in "dogs' toys" neither."""
CLOSING = re.compile(r"[\s.?!;…]+$")
"""Punctuation that ends a sentence."""
MINUS = re.compile(
    r"(?:^|(?<=\s))-(?P<text>[^\W\d_](?:[\w'-]*\w)?|\"[^\"]+\")(?P<end>[,.?!;]*)(?=[\s)]|$)"
)
"""A word or quote that is excluded: `-turtle`."""
NEGATED = re.compile(r"(?:^|[\s(])(?:no|not\s+an?|without|except|excluding)\s+\w", re.IGNORECASE)
NAMED_FILE = re.compile(r"(?:^|[\s(:])(?:\.{0,2}/|~/)")
MOST_THINGS = 24
DEEPEST = 40
"""Maximum depth of the tree; a `not` in parentheses takes four levels."""
UNMISTAKABLE = re.compile(
    r"(?:^|[\s(])(?:(?:left|right)\s+of|next\s+to|and\s+not|but\s+not|NOT|AND|OR|[<>]=?\s*\d+|=\d+)"
    r"(?=[\s)]|$)"
)
"""With these in it, or what is `NEGATED`, a query that the grammar rejects is a faulty scene, not a
sentence."""
NEGATIONS = ("NOT", "UPPER_NOT", "NO", "NONE", "WITHOUT")
SPOKEN = ("NOT", "NO", "WITHOUT")
"""Negations of a plain sentence."""
SETTING = re.compile(
    r",?\s+(?:at\s+(?:night|dawn|dusk|noon|midnight|sunset|sunrise|daytime)"
    r"|(?:in|during)\s+(?:the\s+|a\s+)?(?:(?:early|late)\s+)?(?:day|morning|afternoon|evening|night"
    r"|spring|summer|autumn|fall|winter|rain|snow|fog|mist|sunshine|sun|dark|storm|black\s+and\s+white)"
    r")$",
    re.IGNORECASE,
)
"""A time, season or weather at the end of a sentence, which belongs to the whole of it."""
GENERIC = re.compile(
    r"(?:all|any|every|only|my|the)?\s*"
    r"(?:photos?|pictures?|images?|shots?|all|anything|everything|something|things?)",
    re.IGNORECASE,
)
"""A text that is true of every photo."""
NOBODY = ("one", "body", "anyone", "anybody")
"""What is left of "no one" and "without anyone": a person."""
NO_ITEM = re.compile(
    r"\w+ing\b|(?:in|on|at|of|with|under|near|behind|by|from|for|to|during|while|like|as)\b",
    re.IGNORECASE,
)
"""How the part behind a comma begins that goes on with the thing before it."""


def parse(text: str, *, places: bool = False) -> Query | Scene:
    """Parse user input: a plain query, or a scene if it has signs of one (see above).

    `places`: searching for places, not photos. Raises `QueryError`; for a syntax error, a
    `QuerySyntaxError` with the spot.
    """
    check_length(text)
    plain = text.translate(TYPOGRAPHIC)
    whole = " ".join(plain.split())
    if not whole or whole.count('"') % 2:
        return Query.parse(plain)  # which rejects it
    line = "".join(
        part if part.startswith('"') else SINGLE_QUOTED.sub(r'"\1"', part)
        for part in re.split(f"({QUOTED.pattern})", whole)
    )
    line, minus = _without_minus(line)
    line = CLOSING.sub("", line)
    try:
        tree = _parser().parse(_lexed(line))
    except UnexpectedInput as error:
        if not line.strip() and minus:
            raise _only_excludes(whole) from None
        bare = QUOTED.sub("_", line)
        faulty = UNMISTAKABLE.search(bare) or NEGATED.search(_phrases().sub("_", bare))
        if minus or faulty or (places and bare.count("(") != bare.count(")")):
            raise _refused(error, line) from None
        return Query.parse(plain)
    _check_size(tree, line)
    for node in tree.find_data("thing"):
        Phrase.check(_tokens(node), line)
    if _is_strong(tree, line) or (places and _is_weak(tree, line)):
        clause = _Reader(line).either(_either_of(tree))
    elif minus or any(True for _ in _negations(tree)):
        clause = _sentence(_either_of(tree), line)
    else:
        return Query.parse(plain)
    if minus:
        parts = clause.parts if isinstance(clause, And) else (clause,)
        clause = And((*parts, *(Not(Chain((_named(text),))) for text in minus)))
    _check_count(len({id(thing) for thing in things(clause)}))
    scene = Scene(clause, whole)
    if excludes(clause) and all(GENERIC.fullmatch(thing.name) for thing in wanted_things(scene)):
        raise _only_excludes(whole)
    return scene


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
    grammar += f"\nPHRASE.20: /{_phrases().pattern}/\n"
    return Lark(grammar, parser="lalr", lexer="contextual")


@cache
def _phrases() -> re.Pattern[str]:
    """What stays whole: the phrases of the list, and what a sign forbids or allows."""
    phrases = sorted(word_list("phrases"), key=len, reverse=True)
    pattern = "|".join(_in_small_letters(phrase) for phrase in phrases)
    pattern += r"|[Nn]o(?:\s+[\w-]+){1,2}\s+(?:signs?|signposts?|allowed|permitted)"
    return re.compile(rf"(?:{pattern})(?=[\s,)]|$)")


def _in_small_letters(phrase: str) -> str:
    """A pattern for a phrase whose words may be capitalised; an all-capitals TINY is a sign."""
    return re.sub(r"\b[a-z]", lambda match: f"[{match[0]}{match[0].upper()}]", re.escape(phrase))


def _lexed(line: str) -> str:
    """The line for the parser, of the same length: in lower case if it is all in capitals, which
    then mean nothing, and what joins adjectives hidden from it. Who quotes means the capitals.
    """
    if not re.search('[a-z"]', line):
        line = re.sub("[A-Z]+", lambda match: match[0].lower(), line)
    return _joined_adjectives().sub(lambda match: re.sub(r"\w|,", "_", match[0]), line)


@cache
def _joined_adjectives() -> re.Pattern[str]:
    """What joins adjectives before a noun: the comma and `and` in "a red, blue and white shirt"."""
    one = f"(?:{'|'.join(word_list('adjectives'))})"
    joint = r"(?:,?\s+(?:and|or)|,)"
    signs = (
        "and|or|but|not|no|without|left|right|above|below|inside|next|is|are|top|bottom|at|in|on|to"
    )
    ends = "|".join(f"(?<=\\b{word})" for word in word_list("adjectives"))
    return re.compile(
        rf"(?:{ends}){joint}(?=(?:\s+{one}{joint})*\s+(?:an?\s+)?{one}(?:\s+{one})*\s+(?!(?:{signs})\b)[^\W\d])"
    )


def _without_minus(line: str) -> tuple[str, list[str]]:
    """The line with blanks in place of `-word`, and the texts of those."""
    quoted = [match.span() for match in QUOTED.finditer(line)]
    found: list[str] = []

    def take(match: re.Match[str]) -> str:
        start = match.start()
        if any(first < start < last for first, last in quoted):
            return match[0]
        before = QUOTED.sub("", line[:start])
        if before.count("(") > before.count(")"):
            raise QuerySyntaxError(
                f"'{match[0]}' cannot stand in parentheses; write 'NOT {match['text']}'.",
                line,
                match.span(),
            )
        found.append(match["text"].strip('"'))
        return " " * len(match[0])

    return MINUS.sub(take, line), found


def _check_size(tree: Node, line: str) -> None:
    """Reject queries that would take minutes, or are nested too deeply."""
    _check_count(sum(1 for _ in tree.find_data("thing")))
    level: list[Node] = [tree]
    for _ in range(DEEPEST):
        level = [child for node in level for child in node.children if isinstance(child, Tree)]
    if level:
        token = next(token for node in level for token in node.scan_values(_is_token))
        spot = (token.start_pos or 0, token.end_pos or 0)
        raise QuerySyntaxError("this is nested too deep; write fewer 'not' and '('.", line, spot)


def _check_count(count: int) -> None:
    if count > MOST_THINGS:
        raise QueryError(
            f"The query asks for {count} things, and at most {MOST_THINGS} can be looked for "
            "together; leave some out, or put words in quotes to search for them as text."
        )


def _is_token(value: object) -> bool:
    return isinstance(value, Token)


def _either_of(tree: Node) -> Node:
    (either,) = tree.children
    assert isinstance(either, Tree)
    return either


def _negations(tree: Node) -> Iterator[Token]:
    """The words that negate."""
    for node in tree.iter_subtrees():
        if node.data in ("negation", "apart"):
            yield _tokens(node)[0]


def _is_strong(tree: Node, line: str) -> bool:
    """Whether the query has a sign that always makes it a scene (rules 1 and 2)."""
    negated = False
    for node in tree.iter_subtrees():
        if node.data == "relation":
            return True
        if node.data == "thing" and Phrase.read(_tokens(node), line, small=False).signs:
            return True
        upper = [c for c in node.children if isinstance(c, Token) and c.type.startswith("UPPER_")]
        if upper and node.data != "thing":
            return True
        negated |= node.data in ("negation", "apart")
        if node.data == "clauses" and any(
            isinstance(c, Tree) and c.data == "negation" and _tokens(c)[0].type != "WITHOUT"
            for c in node.children[1:]
        ):
            return True
    return negated and next(tree.find_data("group"), None) is not None


def _is_weak(tree: Node, line: str) -> bool:
    """Whether a query without strong signs is a scene when searching for places (rule 4)."""
    whole = Query.parse(line)
    if whole.images or len(whole.texts) != 1 or whole.texts[0].weight != 1:
        return False
    parts = [part for each in _alternatives(_either_of(tree), line) for part in each]
    kept = [part for part in parts if part.sign is None]
    if len(kept) > 1 or any(part.sign is not None and part.sign.type == "NOT" for part in parts):
        return True
    if not kept:
        return False
    (thing,) = kept[0].node.find_data("thing")
    tokens = _tokens(thing)
    if len(_items(tokens, line)) > 1:
        return True
    if any(uncountable(token) for token in tokens[:2]):
        return False
    phrase = Phrase.read(tokens, line, small=True)
    return phrase.signs and len(phrase.text(line).split()) <= SHORT


@dataclass(frozen=True, slots=True)
class _Part:
    """A clause of a sequence: the word that negates it, and the one that joins it to those before
    it.
    """

    node: Node
    sign: Token | None
    joint: Token | None

    @property
    def spoken(self) -> bool:
        """Whether it is negated by a word of a plain sentence."""
        return self.sign is not None and self.sign.type in SPOKEN

    @property
    def span(self) -> tuple[int, int]:
        """Its range in the query, with the word that negates it."""
        tokens = [token for token in self.node.scan_values(_is_token) if isinstance(token, Token)]
        first = self.sign or tokens[0]
        return first.start_pos or 0, max(token.end_pos or 0 for token in tokens)


def _alternatives(either: Node, line: str) -> list[list[_Part]]:
    """The parts of each alternative. Lower-case `or` behind an excluded thing continues the
    exclusion: "without cars or people".
    """
    found: list[list[_Part]] = []
    joint: Token | None = None
    for child in either.children:
        if isinstance(child, Token):
            joint = child
            continue
        parts = _parts(child, line)
        last = found[-1][-1] if found else None
        if joint is not None and joint.type == "OR" and last is not None:
            first = parts[0]
            if last.sign is not None and last.sign.type != "UPPER_NOT":
                parts[0] = _Part(first.node, first.sign or last.sign, joint)
                found[-1] += parts
                continue
            _check_or(last, first, joint, line)
        found.append(parts)
    return found


def _check_or(last: _Part, first: _Part, joint: Token, line: str) -> None:
    """Raise `QuerySyntaxError` where `or` could join things or clauses."""
    related = [any(True for _ in part.node.find_data("relation")) for part in (last, first)]
    if related[0] != related[1]:
        raise QuerySyntaxError(
            "'or' can be read in two ways here; write OR between two descriptions, or "
            "parentheses around the things, as in '(dog or cat) left of car'.",
            line,
            _spot(joint),
        )


def _parts(clauses: Node, line: str) -> list[_Part]:
    found: list[_Part] = []
    joint: Token | None = None
    for child in clauses.children:
        if isinstance(child, Token):
            joint = child
            continue
        sign: Token | None = None
        if child.data in ("negation", "apart"):
            sign = _tokens(child)[0]
            (child,) = [part for part in child.children if isinstance(part, Tree)]
        whole = _rejoined(found[-1], joint, child, line) if found and joint and not sign else None
        if whole is None:
            found.append(_Part(child, sign, joint))
        else:
            found[-1] = _Part(whole, found[-1].sign, found[-1].joint)
        joint = None
    return found


def _rejoined(before: _Part, joint: Token, chain: Node, line: str) -> Node | None:
    """The chain of both where `and` ends a list within a thing: "a plate with rice, beans and
    meat"; else None.
    """
    if joint.type != "AND" or before.sign or before.node.data != "chain" or chain.data != "chain":
        return None
    last, first = before.node.children[-1], chain.children[0]
    if not (isinstance(last, Tree) and isinstance(first, Tree)):
        return None
    if last.data != "thing" or first.data != "thing" or "but" in joint:
        return None
    tail = _items(_tokens(last), line)[-1]
    if not any(token.type == "COMMA" for token in tail[:-1]):
        return None
    word = Token("WORD", str(joint), joint.start_pos, end_pos=joint.end_pos)
    thing = Tree("thing", [*last.children, word, *first.children])
    return Tree("chain", [*before.node.children[:-1], thing, *chain.children[1:]])


def _check_joint(parts: Sequence[_Part], number: int, line: str, *, strict: bool) -> None:
    """Raise `QuerySyntaxError` for `and` between an excluded thing and one that may be meant to be
    excluded as well. `strict`: also behind a `not` that begins a clause.
    """
    before, part = parts[number - 1], parts[number]
    if number == 0 or part.sign is not None or part.joint is None or part.joint.type != "AND":
        return
    if not before.spoken or (
        not strict and before.sign is not None and before.sign.type == "NOT" and before.joint
    ):
        return
    start, end = part.span
    if line[start:end].lower().startswith("with ") or "but" in part.joint:
        return
    if not strict and before.sign is not None and before.sign.type == "NOT" and number == 1:
        return
    words = line[start:end]
    raise QuerySyntaxError(
        f"'{part.joint} {words}' may be excluded or wanted: write 'or {words}' to exclude it too, "
        f"or 'AND {words}' to look for it.",
        line,
        _spot(part.joint),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the tree of a query in which all signs count."""

    line: str

    def either(self, node: Node) -> Clause:
        """The clause of a whole query, or of parentheses."""
        ways = [self._all(parts) for parts in _alternatives(node, self.line)]
        return ways[0] if len(ways) == 1 else Or(tuple(ways))

    def _all(self, parts: Sequence[_Part]) -> Clause:
        clauses: list[Clause] = []
        for number, part in enumerate(parts):
            _check_joint(parts, number, self.line, strict=False)
            if part.sign is None:
                clauses += self._clauses(part.node)
                continue
            self._check_reach(part)
            clauses += [Not(each) for each in self._clauses(part.node, negated=True)]
        return clauses[0] if len(clauses) == 1 else And(tuple(clauses))

    def _check_reach(self, part: _Part) -> None:
        """Raise `QuerySyntaxError` where a negation within a thing's words would reach over a
        relation.
        """
        assert part.sign is not None
        if part.spoken and part.joint is None and part.sign.start_pos != 0:
            relation = next(part.node.find_data("relation"), None)
            if relation is not None and part.node.data == "chain":
                raise QuerySyntaxError(
                    f"'{part.sign}' cannot stand before a relation; write what to exclude at the "
                    "end, as in 'man left of car, no hat'.",
                    self.line,
                    _spot(part.sign),
                )

    def _clauses(self, node: Node, *, negated: bool = False) -> list[Clause]:
        """The clauses of a node: several where commas separate things."""
        if node.data in ("negation", "apart"):
            (inner,) = [part for part in node.children if isinstance(part, Tree)]
            return [Not(each) for each in self._clauses(inner, negated=True)]
        assert node.data == "chain"
        first, *_ = node.children
        if len(node.children) == 1 and isinstance(first, Tree) and first.data == "group":
            return [self.either(_inside(first))]
        return self._chains(node, negated)

    def _chains(self, node: Node, negated: bool) -> list[Clause]:
        found: list[Clause] = []
        arms: list[tuple[list[list[Thing]], list[Relation]]] = []
        also: Token | None = None
        things: list[list[Thing]] = []
        relations: list[Relation] = []
        for child in node.children:
            if isinstance(child, Token):
                also = child
            elif child.data == "relation":
                if also is not None:
                    self._check_also(also, child, bool(relations), len(arms))
                    if relations:
                        arms.append((things, relations))
                        things, relations = [things[0]], []
                also = None
                relations.append(_relation(child))
            elif child.data == "group":
                things.append(self._choice(child))
            else:
                *before, last = _items(_tokens(child), self.line, negated=negated)
                for number, tokens in enumerate(before):
                    things.append([self._thing(tokens)])
                    if number == 0 and relations:
                        found += self._chain(arms, things, relations, child)
                        arms, relations = [], []
                    else:
                        found.append(Chain((things[-1][0],)))
                    things = []
                things.append([self._thing(last)])
        return [*found, *self._chain(arms, things, relations, node)]

    def _chain(
        self,
        arms: Sequence[tuple[list[list[Thing]], list[Relation]]],
        things: list[list[Thing]],
        relations: list[Relation],
        node: Node,
    ) -> list[Clause]:
        """The chain of things, each with its choices, and of the arm that hangs at its first
        thing.
        """
        for others, back in arms:
            if any(relation not in INVERSE for relation in relations):
                others, back, things, relations = things, relations, others, back
            if any(relation not in INVERSE for relation in relations):
                spot = _whole_spot(node)
                raise QuerySyntaxError(
                    "a thing cannot be inside two others here; write 'dog inside box and dog "
                    "inside house'.",
                    self.line,
                    spot,
                )
            things = [*things[:0:-1], *others]
            relations = [*(INVERSE[relation] for relation in relations[::-1]), *back]
        check_ways(prod(map(len, things)))
        chains = [Chain(chosen, tuple(relations)) for chosen in product(*things)]
        return [chains[0] if len(chains) == 1 else Or(tuple(chains))]

    def _check_also(self, also: Token, relation: Node, later: bool, arms: int) -> None:
        name = _tokens(relation)[0]
        if not later and "and" in also:
            raise QuerySyntaxError(f"'{name}' needs a thing before it.", self.line, _spot(name))
        if later and arms:
            raise QuerySyntaxError(
                f"'{name}' is a third relation of one thing, and two can be looked for; repeat the "
                "thing, as in 'and dog below kite'.",
                self.line,
                _spot(name),
            )

    def _choice(self, group: Node) -> list[Thing]:
        """The things of parentheses beside a relation: one, or several to choose from."""
        chosen: list[Thing] = []
        clause = self.either(_inside(group))
        for each in clause.parts if isinstance(clause, Or) else (clause,):
            if not isinstance(each, Chain) or len(each.things) > 1:
                start, _ = _spot(_tokens(group)[0])
                raise QuerySyntaxError(
                    "a parenthesis cannot stand here; repeat the relation, as in 'dog left of cat "
                    "and dog left of bird', or put text in quotes.",
                    self.line,
                    (start, start + 1),
                )
            chosen += each.things
        return chosen

    def _thing(self, tokens: Sequence[Token]) -> Thing:
        phrase = Phrase.read(tokens, self.line, small=True)
        phrase.check_rest(tokens, self.line)
        query = _query(phrase.text(self.line), self.line, (phrase.start, phrase.end))
        return Thing(query, str(query), phrase.count, phrase.size, phrase.position)


def _sentence(either: Node, line: str) -> Clause:
    """A plain sentence with negations: one text, and what it excludes (rule 5)."""
    kept: list[str] = []
    excluded: list[Clause] = []
    end = 0
    for parts in _alternatives(either, line):
        for number, part in enumerate(parts):
            _check_joint(parts, number, line, strict=True)
            after = number > 0 and parts[number - 1].sign is not None
            start, last = part.span
            if part.sign is None and not after:
                continue
            joint = start if part.joint is None else _spot(part.joint)[0]
            kept.append(line[end:joint])
            end = start
            if part.sign is not None:
                end = last
                for text in _excluded(part, line, kept):
                    excluded.append(Not(Chain((_named(text),))))
    kept.append(line[end:])
    text = " ".join(" ".join(kept).split()).strip(" ,;–—")
    text = re.sub(r"\s+,", ",", text)
    if not text or GENERIC.fullmatch(text):
        raise _only_excludes(line)
    query = _query(text, line, (0, len(line)))
    return And((Chain((Thing(query, str(query)),)), *excluded))


def _excluded(part: _Part, line: str, kept: list[str]) -> Iterator[str]:
    """The texts that a part of a sentence excludes; what goes on with the sentence is added to
    `kept`.
    """
    (thing,) = part.node.find_data("thing")
    tokens = _tokens(thing)
    items = _items(tokens, line, negated=True)
    last = items[-1]
    commas = [n for n, token in enumerate(last) if token.type == "COMMA"]
    if commas:
        rest = last[commas[0] + 1 :]
        items[-1] = last[: commas[0]]
        if rest:
            kept.append(line[_spot(rest[0])[0] : _spot(rest[-1])[1]])
    for item in filter(None, items):
        text = Phrase.read(item, line, small=False).text(line)
        setting = SETTING.search(text)
        if setting:
            kept.append(setting[0].strip(" ,"))
            text = text[: setting.start()]
        yield text


def _items(tokens: Sequence[Token], line: str, *, negated: bool = False) -> list[list[Token]]:
    """The tokens of each thing in a list: "dog, cat" is two. A comma separates short names; it does
    not before what goes on with the thing ("a dog, running") or in a proper name ("Paris, France").
    """
    groups: list[list[Token]] = [[]]
    for token in tokens:
        groups[-1].append(token)
        if token.type == "COMMA":
            groups.append([])
    items = [groups[0]]
    for group in groups[1:]:
        if group and _is_item(items[-1], line) and _is_item(group, line, behind=items[-1]):
            items.append(group)
        else:
            items[-1] = [*items[-1], *group]
    return items


def _is_item(tokens: Sequence[Token], line: str, *, behind: Sequence[Token] | None = None) -> bool:
    words = [token for token in tokens if token.type not in ("COMMA", "PLACE", "UPPER_PLACE")]
    if not words or words[0].type == "COMMA":
        return False
    text = Phrase.read(words, line, small=True).text(line)
    if behind is None:
        return len(text.split()) <= SHORT
    if NO_ITEM.match(line, _spot(words[0])[0]):
        return False
    proper = all(line[_spot(each[0])[0]].isupper() for each in (behind, words))
    return len(text.split()) <= SHORT and not proper


def _named(text: str) -> Thing:
    """The thing of an excluded text."""
    query = Query.parse("person" if text.lower() in NOBODY else text)
    return Thing(query, str(query))


def _query(text: str, line: str, spot: tuple[int, int]) -> Query:
    try:
        return Query.parse(text)
    except QueryError as error:
        raise QuerySyntaxError(str(error), line, spot) from None


def _inside(group: Node) -> Node:
    (either,) = [child for child in group.children if isinstance(child, Tree)]
    return either


def _relation(node: Node) -> Relation:
    return RELATIONS[_tokens(node)[0].type]


def _spot(token: Token) -> tuple[int, int]:
    return token.start_pos or 0, token.end_pos or 0


def _whole_spot(node: Node) -> tuple[int, int]:
    spots = [_spot(token) for token in node.scan_values(_is_token) if isinstance(token, Token)]
    return min(start for start, _ in spots), max(end for _, end in spots)


def _only_excludes(text: str) -> QueryError:
    return QueryError(f"'{text}' only says what not to show: add something to look for.")


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
            "a parenthesis cannot stand here; write AND or NOT before it, or repeat the relation, "
            "as in 'dog left of cat and dog left of bird', or put text in quotes."
        )
        return QuerySyntaxError(sentence, line, (start, start + 1))
    sentence = f"'{word}' does not fit here; put words that are meant as text in quotes."
    return QuerySyntaxError(sentence, line, (start, start + len(word)))
