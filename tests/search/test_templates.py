from search.templates import PLAIN, expand
from tips_model.config import VARIANTS
from tips_model.templates import TEMPLATES

TCL = TEMPLATES["tcl"]


def test_a_name_goes_into_every_template_without_its_own_article() -> None:
    sentences = expand("a  red dog", TCL)
    assert len(sentences) == 9
    assert sentences[1] == "a bad photo of a red dog."
    assert sentences[8] == "a photo of red dogs."


def test_a_sentence_and_a_plain_template_leave_the_text_alone() -> None:
    assert expand("a dog runs over the snow", TCL) == ["a dog runs over the snow"]
    assert expand(" a dog ", PLAIN) == ["a dog"]


def test_braces_in_a_text_are_text() -> None:
    assert expand("{0} {}", ("see {}!",)) == ["see {0} {}!"]


def test_nano_reads_plain_names_and_large_models_the_templates() -> None:
    assert TEMPLATES[VARIANTS["nano"].prompts] == PLAIN
    assert TEMPLATES[VARIANTS["tipsv2-b14"].prompts] == TCL
