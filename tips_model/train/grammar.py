"""English grammar for captions: articles, plurals and numbers of nouns."""

from __future__ import annotations

import re


def words(text: str) -> frozenset[str]:
    """The set of the words in a text."""
    return frozenset(text.split())


_IRREGULAR = {
    "person": "people", "man": "men", "woman": "women", "child": "children", "foot": "feet",
    "tooth": "teeth", "goose": "geese", "mouse": "mice", "louse": "lice", "ox": "oxen",
    "knife": "knives", "wife": "wives", "life": "lives", "leaf": "leaves", "loaf": "loaves",
    "shelf": "shelves", "wolf": "wolves", "calf": "calves", "half": "halves", "elf": "elves",
    "thief": "thieves", "scarf": "scarves", "hoof": "hooves", "cactus": "cacti", "quiz": "quizzes",
    "monarch": "monarchs", "stomach": "stomachs", "passerby": "passersby", "die": "dice",
}  # fmt: skip
_SAME = words(
    "aircraft bison cattle cod deer elk fish goldfish grouse hovercraft moose "
    "salmon series sheep shrimp spacecraft species squid swine trout tuna watercraft"
)  # "a sheep", "two sheep"
_NOT_MEN = words("caiman doberman german human ottoman roman shaman talisman")
_WITH_OES = words("buffalo domino echo hero mosquito potato tomato tornado torpedo volcano")
_SINGULAR_IN_S = words("gas lens canvas christmas atlas pancreas news triceratops")
_UNCOUNTED = words(
    "asparagus beef bread broccoli butter carbonara cardboard celery cheese clothing coffee "
    "consomme corn cutlery dough eggnog equipment fabric foliage food footwear "
    "fruit furniture garlic glassware grass guacamole hay honey ice jewellery jewelry juice "
    "ketchup kitchenware lettuce lightning lotion luggage mail mayonnaise meat metal milk money "
    "mustard pasta paper plastic popcorn pork rice salt sand seafood silverware snow spaghetti "
    "spinach sugar sunscreen tableware tea thatch tissue trash underwear velvet water wine wood "
    "wool yogurt"
)
_UNCOUNTED_WHOLE = frozenset(
    ("chain mail", "chocolate sauce", "face powder", "hair spray", "mashed potato")
)
_A_BEFORE_VOWEL = re.compile(r"(uni(?!n|m)|use|usb|usual|utensil|uk|ufo|eu|ewe|one\b|once)")
_AN_BEFORE_CONSONANT = re.compile(
    r"(hour|honest|honou?r|heir|x-|(fm|hd|hdmi|hdtv|lcd|lp|mp3|mri|rv|suv|sd|sms)\b)"
)
_NUMBERS = ("no", "one", "two", "three", "four")
_SEVERAL, _MANY = 5, 9  # from this number on


def spoken(name: str) -> str:
    """A label as a spoken noun: "dog, domestic dog" -> "dog", "bat_(animal)" -> "bat"."""
    first = re.split(r"[,/;(]", name.replace("_", " "), maxsplit=1)[0]
    return " ".join(first.lower().split()) or " ".join(name.lower().split())


def with_article(phrase: str) -> str:
    """Words with the matching indefinite article, by sound: "an apple", "a unicorn"."""
    if phrase[:1] in "aeiou":
        return f"a {phrase}" if _A_BEFORE_VOWEL.match(phrase) else f"an {phrase}"
    return f"an {phrase}" if _AN_BEFORE_CONSONANT.match(phrase) else f"a {phrase}"


def uncounted(noun: str) -> bool:
    """Whether a noun is uncountable, such as "bread" or "orange juice"."""
    return noun in _UNCOUNTED_WHOLE or _head(noun).rpartition(" ")[2] in _UNCOUNTED


def is_plural(noun: str) -> bool:
    """Whether a noun is always plural, such as "scissors", whatever the number."""
    last = _head(noun).rpartition(" ")[2]
    if last in _IRREGULAR.values() or last in ("cattle", "skis"):
        return True
    return (
        last.endswith("s")
        and not last.endswith(("ss", "us", "is", "os", "as", "'s"))
        and last not in _SINGULAR_IN_S | _SAME
    )


def indefinite(noun: str) -> str:
    """The noun for one of its things: "a dog", "an orange", "scissors", "bread"."""
    return noun if uncounted(noun) or is_plural(noun) else with_article(noun)


def plural(noun: str) -> str:
    """The noun for several of its things: "people", "fire hydrants", "chests of drawers"."""
    if uncounted(noun) or is_plural(noun):
        return noun
    head = _head(noun)
    before, space, last = head.rpartition(" ")
    return before + space + _plural_of(last) + noun[len(head) :]


def several(noun: str, count: int) -> str:
    """The noun with a number word: "a dog", "two dogs", "several dogs", "many dogs"."""
    if count == 1 or uncounted(noun) or is_plural(noun):
        return indefinite(noun)
    if count < _SEVERAL:
        return f"{_NUMBERS[count]} {plural(noun)}"
    return f"{'several' if count < _MANY else 'many'} {plural(noun)}"


def listing(parts: list[str]) -> str:
    """One or more parts joined: "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _head(noun: str) -> str:
    """The head of a compound noun: "chest" of "chest of drawers"."""
    return re.split(r" (?:of|with|in|on|for) |-of-", noun, maxsplit=1)[0]


def _plural_of(word: str) -> str:
    if word in _SAME or word.endswith("fish"):
        return word
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("man") and word not in _NOT_MEN:
        return word[:-3] + "men"
    if "-" in word and (last := word.rpartition("-"))[2] in _IRREGULAR:
        return f"{last[0]}-{_IRREGULAR[last[2]]}"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    if word.endswith(("s", "x", "z", "ch", "sh")) or word in _WITH_OES:
        return word + "es"
    return word + "s"
