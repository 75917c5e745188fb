"""What is broken in a draft. Between ⟦ and ⟧ stands the draft, what is to be marked in it between { and }."""

import pytest
from hypothesis import given

from app.checks.glitches import glitches
from tests.app.checks.conftest import JUNK

ENGLISH = "It was the year that they had all of it. "
GERMAN = "Es war das Jahr, in dem sie nicht mit der Stadt und den Leuten war. "
FRENCH = "Il était dans la ville, et elle ne sait pas que les gens sont avec nous. "


def marked(text: str) -> tuple[str, list[str], list[str]]:
    """The draft, what should be marked in it, and what is."""
    text = text.replace("{(}", "\ue000").replace("{)}", "\ue001")
    before, _, rest = text.partition("⟦")
    drafted, _, after = rest.partition("⟧")
    wanted = [part.partition("}")[0] for part in drafted.split("{")[1:]]
    draft = drafted.replace("{", "").replace("}", "")
    return draft, wanted, [draft[one.span.start : one.span.end] for one in glitches(draft, before, after)]


@pytest.mark.parametrize(
    "text",
    [
        ENGLISH + "⟦He saw the {the} sea.⟧",
        ENGLISH + "⟦The {the} sea was calm.⟧",
        ENGLISH + "He saw the ⟦{the} sea.⟧",
        ENGLISH + "⟦He saw {the}⟧ the sea.",
        ENGLISH + "⟦He saw the\n{the} sea.⟧",
        ENGLISH + "⟦I hope {hope} to see you, and don’t {don’t} ask.⟧",
        ENGLISH + "⟦He saw the {the} {the} sea.⟧",
        ENGLISH
        + "⟦She had had enough, and said that that was that. I gave her her coat; it is very very old.⟧",
        ENGLISH + "⟦A {A} man came.⟧",
        ENGLISH + "⟦Susan {Susan} went, and Susan saw her go.⟧",
        ENGLISH + "⟦They went to Walla Walla. The, the man said. 3 3 4 4⟧",
        ENGLISH + "⟦The word. Word by word, he read\n\nread by her.⟧",
        ENGLISH + "⟦Use `the` the `the` the way.⟧",
        GERMAN + "⟦Er ging in {in} das Haus, für die die Regel gilt, und sah sie sie sehen.⟧",
        FRENCH + "⟦Nous nous aimons de {de} loin, très très loin.⟧",
        "Bu güzel bir gün. ⟦Yavaş yavaş gitti ve tek tek baktı.⟧",
        "वह घर गया। ⟦वह धीरे धीरे चला।⟧",
    ],
)
def test_a_word_that_stands_twice_in_a_row(text: str) -> None:
    _, wanted, found = marked(text)
    assert found == wanted


@pytest.mark.parametrize(
    "text",
    [
        ENGLISH + "⟦He went to the {some-}⟧",
        ENGLISH + "⟦He went to some-⟧thing",
        ENGLISH + "⟦It was {care- ful} of him, in pre- and post-war days.⟧",
        ENGLISH + "⟦He went to the {str}⟧",
        ENGLISH + "⟦He went to the {th} ⟧",
        ENGLISH + "⟦He said hmm⟧",
        ENGLISH + "⟦It was 5 km⟧",
        ENGLISH + "⟦He saw Mr. Smith of NBC⟧",
        ENGLISH + "⟦by the {riverThe} boat lay at the {pier.It} was old {andListen} to.⟧",
        ENGLISH + "⟦Ways lead out. The WaysOut and the {YouIt} and YouTube.⟧",
        ENGLISH + "⟦On YouTube and in JavaScript, McDonald saw an iPhone of eBay at example.The/x.⟧",
        "Das ist die Stadt und das Haus, in dem sie nicht war. ⟦Mit der BahnCard, Bahn und Card.⟧",
        "Šel k vlk a ⟦byl tam prst⟧",
    ],
)
def test_a_word_that_is_broken_off_or_glued(text: str) -> None:
    _, wanted, found = marked(text)
    assert found == wanted


@pytest.mark.parametrize(
    "text",
    [
        "⟦He said {“I} will go. She went.⟧",
        "⟦He said “I will go.⟧” She went.",
        "He said “I ⟦will go.” She went.⟧",
        "⟦He said “I will go. She ⟧",
        "⟦{“It} is late. “Go home.” She went.⟧",
        "⟦“It is late.\n\n“Go home.” She went.⟧",
        "⟦{“It} is late.\n\nShe went.⟧",
        '⟦"It is late?"{?"} she asked.⟧',
        '⟦{"It} is late. She went. "Go," he said.⟧',
        "⟦“It is late.”, he said ”and” went {(so.}⟧",
        "⟦He said („so war es“ und »so auch« und «comme ça» und « oui ») ”och så”.⟧",
        "⟦Er rief {„so} war es und ging.⟧",
        "⟦Il dit {«} bonjour et part.⟧",
        "⟦A ‘word’ of the ’tis and ‘tis kind, the boys’ ‘90s don’t count.⟧",
        "⟦A {‘word} of it.⟧",
        "⟦Er sagte ‚ja‘ und {‚nein} dazu.⟧",
        "⟦A {(word} of it.⟧",
        "⟦A (word [of] it). a) b) 1) :( :-( fine.⟧",
        "⟦A (word [of] it, and⟧ more).",
        '⟦A 5" nail, a 6\'2" man, צה"ל.⟧',
        "⟦他说「你好」。（好）⟧",
        "⟦Use `print(` and (it).⟧",
        '⟦Write "-", <"x"> or ("y"), and "…and so". "...and then," he said.⟧',
    ],
)
def test_a_mark_without_its_partner(text: str) -> None:
    _, wanted, found = marked(text)
    assert found == wanted


@pytest.mark.parametrize(
    "text",
    [
        "He went home by the sea. ⟦It rained. {He went home, by the sea!}⟧",
        "⟦He went home by the sea. It rained. {He went home by the sea.}⟧",
        "⟦It rained. {He went home by the sea.}⟧ So it was. He went home by the sea.",
        "He went home by the sea.\n\n⟦{He went home by the sea.} It rained.⟧",
        "He went home by the sea.\n\nIt rained.\n\nThen it snowed.\n\n⟦He went home by the sea.⟧",
        "⟦“Who is it now?” she asked, and went out. “Is it him?” she asked, and went out.⟧",
        "⟦He paid 5 euros for all of it. He paid 7 euros for all of it.⟧",
        "It rained. It rained. ⟦It rained again. It rained again.⟧",
        "He went home by the sea. He went ⟦{home by the sea.} Then it rained.⟧",
        "他回家了，然后他睡觉了。⟦{他回家了，然后他睡觉了。}好。⟧",
    ],
)
def test_a_sentence_that_was_said_before(text: str) -> None:
    _, wanted, found = marked(text)
    assert found == wanted


@given(JUNK, JUNK, JUNK)
def test_whatever_is_drafted_the_marks_lie_in_it(before: str, draft: str, after: str) -> None:
    for finding in glitches(draft, before, after):
        assert 0 <= finding.span.start < finding.span.end <= len(draft)
        assert finding.kind == "glitch"
        assert finding.reason
