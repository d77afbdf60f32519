"""The table of concepts that a scene can show: names, drawings and synonyms.

A concept is a plain English name. Its slugs are keys of the drawing sets (the CLDR name of an emoji
with hyphens), and several slugs may show one concept: a whole cat and a cat's face are both "cat".
Concepts are chosen so that at least five drawing sets have each, and that no two look or read
nearly alike.
"""

from __future__ import annotations

from dataclasses import dataclass

from tips_model.train.grammar import with_article


@dataclass(frozen=True, slots=True)
class Concept:
    """A nameable thing: its name, the keys of its drawings, its synonyms and its group."""

    name: str
    slugs: tuple[str, ...]
    synonyms: tuple[str, ...]
    group: str


# Per line: name = slugs (when they differ from the name) | synonyms
_TABLE = {
    "animals": """
        monkey = monkey, monkey-face | ape
        dog = dog, dog-face | puppy, hound
        fox
        cat = cat, cat-face | kitten, kitty
        lion
        tiger = tiger, tiger-face
        horse = horse, horse-face | pony
        unicorn
        cow = cow, cow-face | cattle
        pig = pig, pig-face | hog
        sheep = ewe, ram | lamb
        camel = camel, two-hump-camel | dromedary
        elephant
        rhinoceros | rhino
        rabbit = rabbit, rabbit-face | bunny, hare
        squirrel = chipmunk | chipmunk
        bear
        koala
        panda
        rooster | cock
        chick = baby-chick, front-facing-baby-chick
        penguin
        eagle
        duck
        owl
        frog | toad
        crocodile | alligator
        turtle | tortoise
        snake | serpent
        whale = whale, spouting-whale
        dolphin
        fish
        shark
        octopus
        shell = spiral-shell | seashell
        crab
        snail
        butterfly
        bee = honeybee | honeybee
        ladybug = lady-beetle | beetle, ladybird
        spider
        scorpion
    """,
    "plants": """
        rose
        sunflower
        tulip
        pine tree = evergreen-tree | evergreen, fir
        palm tree
        cactus
        maple leaf
        mushroom | toadstool
    """,
    "food": """
        grapes
        watermelon
        lemon
        banana
        pineapple
        apple = red-apple, green-apple
        pear
        cherry = cherries | cherries
        strawberry
        kiwi = kiwi-fruit
        tomato
        avocado
        eggplant | aubergine
        carrot
        corn = ear-of-corn | maize
        chili pepper = hot-pepper | chilli
        croissant
        cheese = cheese-wedge
        hamburger | burger
        french fries | chips
        pizza
        hot dog | sausage
        popcorn
        ice cream = ice-cream, soft-ice-cream | sundae
        doughnut | donut
        birthday cake
        lollipop
        coffee cup = hot-beverage | coffee, tea
        wine glass | wine
        beer mug | beer
    """,
    "places and vehicles": """
        house = house, house-with-garden | home
        castle
        tent
        bus | coach
        fire engine | fire truck
        car = automobile, oncoming-automobile | automobile
        truck = delivery-truck | lorry, van
        tractor
        racing car
        motorcycle | motorbike
        bicycle | bike
        anchor
        sailboat | yacht
        airplane | plane, jet
        helicopter | chopper
        rocket | spaceship
        watch | wristwatch
        alarm clock | clock
        moon = crescent-moon | crescent
        sun
        star
        cloud
        rainbow
        umbrella = umbrella, umbrella-on-ground, closed-umbrella | parasol
        snowflake
        snowman = snowman, snowman-without-snow
        flame = fire | fire
        volcano
    """,
    "things": """
        pumpkin = jack-o-lantern | jack-o-lantern
        christmas tree
        balloon
        gift = wrapped-gift | present
        trophy | award
        soccer ball
        basketball
        football = american-football
        dice = game-die | die
        sunglasses | shades
        necktie | tie
        t-shirt | shirt
        jeans | trousers
        dress
        backpack | rucksack
        high heel = high-heeled-shoe | pump
        crown
        top hat
        ring
        diamond = gem-stone | gem, jewel
        bell
        microphone | mic
        headphones = headphone
        saxophone | sax
        trumpet
        guitar
        drum
        laptop | notebook computer
        camera = camera, camera-with-flash
        television | tv
        candle
        light bulb | lamp
        book = closed-book, green-book, blue-book, orange-book
        pencil
        scissors
        padlock = locked, unlocked | lock
        key = key, old-key
        hammer
        wrench | spanner
        telescope
        bed
        toilet
        bomb
        dagger | knife
        shield
    """,
}


def _parse(line: str, group: str) -> Concept:
    head, _, synonyms = line.partition("|")
    name, _, slugs = head.partition("=")
    name = name.strip()
    keys = tuple(s.strip() for s in slugs.split(",") if s.strip()) or (name.replace(" ", "-"),)
    words = tuple(s.strip() for s in synonyms.split(",") if s.strip())
    return Concept(name=name, slugs=keys, synonyms=words, group=group)


CONCEPTS: tuple[Concept, ...] = tuple(
    _parse(line.strip(), group)
    for group, lines in _TABLE.items()
    for line in lines.strip().splitlines()
)
"""All concepts, in table order; a concept's index here is its identity in scenes."""

NAMES: tuple[str, ...] = tuple(c.name for c in CONCEPTS)
"""The name of each concept, same order."""


def article(noun: str) -> str:
    """The noun phrase with its indefinite article: "an apple", "a cat", but "grapes"."""
    return noun if noun in PLURAL else with_article(noun)


PLURAL = frozenset(
    {"grapes", "french fries", "sunglasses", "headphones", "scissors", "dice", "popcorn", "corn"}
)
"""Names that take no article."""
