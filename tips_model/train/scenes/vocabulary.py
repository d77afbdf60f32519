"""The tokenizer of `nano`: 1,024 sentencepiece pieces, trained on the scenes' own captions.

Names, their synonyms, colours, places and the captions' other words are whole pieces, because a
trained model of this size would split even "black". The rest of the pieces come from the words of
all drawings' keys, so that an unknown word still has tokens. Training is deterministic: fixed
captions, one thread. Pad has id 0 and the unknown piece 1, as in the TIPS tokenizer; neither a
begin nor an end token exists.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from random import Random

from tips_model.train.scenes.backgrounds import KINDS, describe
from tips_model.train.scenes.captions import (
    JUNK,
    WEB_TEMPLATES,
    ObjectFacts,
    SceneFacts,
    synthetic_captions,
    web_caption,
)
from tips_model.train.scenes.colours import COLOUR_NAMES
from tips_model.train.scenes.concepts import CONCEPTS, NAMES

VOCABULARY_SIZE = 1024

_PLACES = (
    "top left", "top right", "bottom left", "bottom right", "top", "bottom", "left", "right",
    "centre", "to the left of", "to the right of", "above", "below",
)  # fmt: skip


def whole_pieces() -> list[str]:
    """What must never be split, longest first: names, synonyms, colours, places, captions' words."""
    words: set[str] = set(NAMES) | set(COLOUR_NAMES) | set(_PLACES)
    words.update(synonym for concept in CONCEPTS for synonym in concept.synonyms)
    frames = [*JUNK, *WEB_TEMPLATES, *(describe(k, 0, 1) for k in range(len(KINDS)))]
    words.update(re.findall("[a-z]{2,}", re.sub("{.}", "", " ".join(frames))))
    words.update(("in", "on", "at", "the", "and", "an", "of", "one", "two"))
    return sorted(words, key=lambda word: (-len(word), word))


def corpus(captions: int = 4000, seed: int = 0) -> Iterator[str]:
    """Captions of random scenes, then the words that tell unknown words' letters apart."""
    rng = Random(seed)
    for _ in range(captions):
        objects = [
            ObjectFacts(name, rng.choice(COLOUR_NAMES), rng.random(), rng.random())
            for name in rng.sample(NAMES, rng.randint(1, 5))
        ]
        colours = (rng.randrange(len(COLOUR_NAMES)), rng.randrange(len(COLOUR_NAMES)))
        scene = SceneFacts(objects, describe(rng.randrange(len(KINDS)), *colours))
        yield web_caption(scene, rng, 0.4)
        yield from synthetic_captions(scene, rng)
    for _ in range(3):  # a piece must occur more than once
        yield from _ENGLISH.split("\n")


_ENGLISH = """\
man woman child person people boy girl baby hand face head eye arm leg family friend
beach sea ocean river lake mountain hill forest tree grass field garden street road bridge city
building tower window door wall roof room kitchen table chair floor lamp mirror picture
snow rain wind storm sky night day morning evening winter summer autumn spring sunset sunrise
water fire stone wood metal glass paper plastic cloth leather gold silver
walking running sitting standing eating drinking playing sleeping jumping flying swimming riding
big small tall short long round square old young bright dark light heavy wet dry hot cold
one two three four five six seven eight nine ten many few several some every
with without under over behind between beside near inside outside front back through against
this that these those here there where when what which who how why because while after before
red-haired wooden striped spotted painted broken empty full open closed clean dirty
about account across action address advice afternoon again age air almost alone along already also
always amount ancient anger animal another answer anything apartment area around arrive artist asking
attention baker balance band bank bar base basin basket bath battle beautiful because become bedroom
begin believe belong bench best better bill bit blanket block blood blow board body bone bottle bowl
box branch brave break breakfast breath brick bring brother brush build burn business busy button
cabin cable calm canal canoe canyon captain card careful carpet carry cart catch cave ceiling cellar
centimetre central certain chain chance change chapter cheap child choice circle citizen class clay
clever cliff climb close coal coast coat coin collar college colourful column comfort common company
compare complete concert concrete condition connect contain continue control cook cooking copper copy
corner cottage cotton count country couple course court cousin cover crane crash cream create crowd
crystal culture curious current curtain curve custom dance danger daughter deep delicate desert desk
detail different difficult dinner direction distance doctor double doubt dragon draw dream drive
driver drop dust early earth east easy edge education effect effort either electric empty energy
engineer enough enter equal escape evening event exact example exciting expensive explain express
extra fabric fact factory fair fall famous farm farmer fashion fast father favourite feather feeling
fence festival fever fiction fight figure film final find finger finish fisherman flag flash flat
float flood flour fluid focus fold follow foot forward fountain frame free fresh frost frozen funny
furniture future game garage gate gather gentle giant glove goal government grain grand grandmother
gravel great ground group grow guard guest guide half hall handle happy harbour hard harvest heart
heaven height help hide high history hole home honest hope horizon hospital hour human hundred
hungry hunter husband ice idea image important industry infant interest iron island jacket join
journey judge juice jungle kind king kiss knee knot lace ladder language large late laugh lawn layer
leader learn leave lemonade lesson level library life lift line liquid listen little living lock
lonely look loud love low luck lunch machine magazine main manner map marble march mark market mask
match material meadow meal measure medicine meeting melt memory message metre middle mile milk mill
mind mine minute mist mix model modern moment money month moonlight mother motor mouth move movement
museum music narrow nation nature needle neighbour nest noise north nothing number nurse object
offer officer oil orchard order ordinary oven owner page paint pair palace paper parade parent park
parking part passenger past path patient pattern peace people pepper perfect period piano piece pile
pilot pipe place plain plane planet plate platform player pleasant pocket poem point police pool poor
port portrait position possible post pot powder power present president pretty price prince print
prison prize problem produce public pure purpose push quality queen quiet race rail railway raise
rare reach read ready real reason record region regular rest restaurant reward rice rich ride rise
rock roll root rope rough route row royal rubber ruin rule sail salad salt sand scene science sea
season seat second secret seed sense serious service shade shadow shape share sharp shelf shine shore
shoulder show shower side sign silence silk silver simple sister skill skin skirt slope slow smile
smoke smooth soap society soft soil soldier solid song soup south space special speed spice sport
stage stair stand start steam steel step stick stomach store storm story strange stream strong
structure student study style sudden sugar suit summit sunlight surface surprise sweet swim system
tail tall taste teacher team temple thick thin thing thread throat thunder ticket tide tight time
tired today together tongue tooth touch tourist towel tower town track trade traffic trail train
traveller treasure trip tropical trouble trousers true tunnel uncle uniform university useful valley
value vase village visit visitor voice wagon waiting wave weather week weight west wheel wide wild
window wing wise wonderful wool word worker world worn writing year yesterday young youth zebra
kangaroo giraffe flamingo parrot peacock swan goose goat wolf donkey hamster beaver otter seal
lobster jellyfish coral mosquito beetle worm dinosaur mango coconut onion garlic broccoli pretzel
waffle sandwich taco noodle rice soup tea jar fork plate metro tram ferry canoe scooter skateboard
compass luggage thermometer tornado comet planet fireworks ribbon medal baseball tennis bowling hockey
boxing skate kite puzzle teddy yarn goggles scarf gloves socks kimono boot helmet lipstick speaker
piano accordion banjo harp battery keyboard printer radio lantern scroll newspaper banknote envelope
mailbox calendar clipboard ruler axe screwdriver saw magnet syringe pill bandage chair sofa bathtub
broom bucket sponge cart statue
birthday party wedding holiday trip travel school work office market shop station airport hotel
bird insect animal flower plant fruit vegetable food drink vehicle boat toy tool instrument
the quick brown fox jumps over the lazy dog, pack my box with five dozen liquor jugs!
0 1 2 3 4 5 6 7 8 9 . , ! ? ' " - : ; ( ) / & % + # @ _ * = a b c d e f g h i j k l m n o p q r s
t u v w x y z"""


def train_tokenizer() -> bytes:
    """The serialised sentencepiece model; the same bytes on every call."""
    import sentencepiece

    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=corpus(),
        model_writer=out,
        model_type="unigram",
        vocab_size=VOCABULARY_SIZE,
        character_coverage=1.0,
        user_defined_symbols=["▁" + word.replace(" ", "▁") for word in whole_pieces()],
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        split_digits=True,
        num_threads=1,
        minloglevel=2,
    )
    return out.getvalue()
