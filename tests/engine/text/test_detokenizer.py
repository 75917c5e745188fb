"""Every character belongs to one token, and nothing half finished is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers

from engine.checkpoints import catalogue
from engine.protocol.errors import FaultError
from engine.text.detokenizer import ALL_LEADING_SPACE, Detokenizer, LeadingSpace, StreamingDetokenizer

BYTE_LEVEL = Tokenizer.from_file(str(catalogue.STARTER.folder / "tokenizer.json"))
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<|channel>", "<channel|>"]


def _gemma_like() -> Tokenizer:
    """SentencePiece as Gemma has it: ▁ for the space, no prefix, <0xNN> for what the vocabulary lacks."""
    words = ["▁the", "▁rain", "▁", "t", "h", "e", "r", "a", "i", "n", "é", "\n", "▁▁▁▁"]
    words += ["<unused7>", "[multimodal]", "\ufffd", "<div>"]
    vocabulary = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    tokenizer = Tokenizer(
        models.BPE(
            {token: index for index, token in enumerate(vocabulary)},
            merges=[],
            unk_token="<unk>",
            byte_fallback=True,
            fuse_unk=True,
        )
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


GEMMA_LIKE = _gemma_like()


def gemma_id(token: str) -> int:
    index = GEMMA_LIKE.token_to_id(token)
    assert index is not None
    return index


def pieces_of(tokenizer: Tokenizer) -> Detokenizer:
    data: dict[str, Any] = json.loads(tokenizer.to_str())
    return Detokenizer(data)


@pytest.mark.parametrize("tokenizer", [BYTE_LEVEL, GEMMA_LIKE], ids=["byte-level", "sentence-piece"])
@given(text=st.text(max_size=40))
def test_joined_pieces_are_the_tokenizers_text(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    texts, pending = pieces_of_cached(tokenizer).texts(ids)
    assert len(texts) == len(ids)
    assert pending == b""
    assert "".join(texts) == tokenizer.decode(ids)


_CACHE = {id(BYTE_LEVEL): pieces_of(BYTE_LEVEL), id(GEMMA_LIKE): pieces_of(GEMMA_LIKE)}


def pieces_of_cached(tokenizer: Tokenizer) -> Detokenizer:
    return _CACHE[id(tokenizer)]


@pytest.mark.parametrize("tokenizer", [BYTE_LEVEL, GEMMA_LIKE], ids=["byte-level", "sentence-piece"])
@given(data=st.data())
def test_noise_shows_no_special_token_and_no_broken_character(
    tokenizer: Tokenizer, data: st.DataObject
) -> None:
    size = tokenizer.get_vocab_size()
    ids = data.draw(st.lists(st.integers(0, size + 5), max_size=60))
    texts = StreamingDetokenizer(pieces_of_cached(tokenizer), {1}, LeadingSpace()).noise(ids)
    assert len(texts) == len(ids)
    assert "�" not in "".join(texts)
    assert all(texts[n] == "" for n, index in enumerate(ids) if index < 4)


def test_a_split_character_belongs_to_the_token_that_completes_it() -> None:
    ids = [gemma_id(f"<0x{byte:02X}>") for byte in "🦊".encode()]
    assert pieces_of(GEMMA_LIKE).texts([*ids, gemma_id("e")])[0] == ["", "", "", "🦊", "e"]
    texts, pending = pieces_of(GEMMA_LIKE).texts(ids[:2])
    assert texts == ["", ""]
    assert pieces_of(GEMMA_LIKE).texts(ids[2:], pending)[0] == ["", "🦊"]


def test_a_special_token_ends_a_half_finished_character() -> None:
    first, second = (gemma_id(name) for name in ("<0xC3>", "<0xA9>"))
    assert pieces_of(GEMMA_LIKE).texts([first, 1, second])[0] == ["", "", ""]


def test_an_unknown_kind_of_tokenizer_is_refused() -> None:
    with pytest.raises(FaultError) as caught:
        Detokenizer({"model": {"vocab": {}}, "decoder": {"type": "WordPiece"}})
    assert caught.value.fault.kind == "weights-broken"


def ids_of(*tokens: str) -> list[int]:
    return [gemma_id(token) for token in tokens]


def reader(lead: LeadingSpace = LeadingSpace()) -> StreamingDetokenizer:  # noqa: B008 - a frozen value
    return StreamingDetokenizer(pieces_of(GEMMA_LIKE), {1}, lead)


def test_the_end_token_and_all_after_it_go() -> None:
    reading = reader().finish(ids_of("▁the", "<eos>", "▁rain", "<pad>"))
    assert reading.texts == [" the", "", "", ""]
    assert (reading.tokens, reading.ended) == (1, True)


def test_a_working_draft_keeps_what_follows_an_early_end_token() -> None:
    assert reader().show(ids_of("▁the", "<eos>", "▁rain")) == [" the", "", " rain"]


def test_thoughts_go_across_canvases() -> None:
    reads = reader()
    assert reads.finish(ids_of("<|channel>", "t", "h")).texts == ["", "", ""]
    assert reads.finish(ids_of("i", "<channel|>", "▁rain")).texts == ["", "", " rain"]
    assert reads.finish(ids_of("n", "e")).texts == ["n", "e"]


def test_a_thought_that_began_before_the_draft_is_none_of_its_text() -> None:
    ids = ids_of("t", "h", "<channel|>", "▁rain")
    assert reader().show(ids) == ["", "", "", " rain"]
    reads = reader()
    assert reads.finish(ids).texts == ["", "", "", " rain"]
    assert reads.finish(ids_of("i", "<channel|>", "n")).texts == ["i", "", "n"]


def test_what_stands_for_no_text_is_neither_shown_nor_kept() -> None:
    ids = ids_of("▁the", "<unused7>", "[multimodal]", "\ufffd", "<div>", "n")
    shown = [" the", "", "", "", "<div>", "n"]
    assert reader().noise(ids) == shown
    assert reader().show(ids) == shown
    assert reader().finish(ids).texts == shown


def test_a_lost_character_of_the_passage_stays() -> None:
    ids = ids_of("r", "\ufffd", "n")
    reads = StreamingDetokenizer(pieces_of(GEMMA_LIKE), {1}, LeadingSpace(), "r\ufffdn")
    assert reads.finish(ids).texts == ["r", "\ufffd", "n"]
    assert reader().finish(ids).texts == ["r", "", "n"]


def test_show_leaves_the_state_alone() -> None:
    reads = reader()
    reads.show(ids_of("<|channel>", "t"))
    assert reads.show(ids_of("t")) == ["t"]


def test_the_lead_comes_off_once() -> None:
    assert reader(LeadingSpace(1)).finish(ids_of("▁", "▁the")).texts == ["", " the"]
    assert reader(LeadingSpace(1)).finish(ids_of("t", "▁the")).texts == ["t", " the"]
    assert reader(LeadingSpace(1)).finish(ids_of("\n", "▁the")).texts == ["\n", " the"]
    assert reader(ALL_LEADING_SPACE).finish(ids_of("\n", "▁the")).texts == ["", "the"]
    reads = reader(LeadingSpace(3))
    assert reads.show(ids_of("▁the")) == ["the"]
    assert reads.finish(ids_of("▁the")).texts == ["the"]
    assert reads.finish(ids_of("▁rain")).texts == [" rain"]


def test_a_character_split_over_two_canvases_is_whole() -> None:
    reads = reader()
    assert reads.finish(ids_of("t", "<0xC3>")).texts == ["t", ""]
    assert reads.finish(ids_of("<0xA9>", "e")).texts == ["é", "e"]


def spelled(text: str) -> list[int]:
    ids: list[int] = BYTE_LEVEL.encode(text, add_special_tokens=False).ids
    return ids


def test_a_spelled_thought_goes_only_at_the_very_start() -> None:
    def read(*canvases: str) -> str:
        reads = StreamingDetokenizer(pieces_of_cached(BYTE_LEVEL), {1}, LeadingSpace())
        return "".join("".join(reads.finish(spelled(canvas)).texts) for canvas in canvases)

    assert read("<think>hm</think>\n\nIt rained.") == "It rained."
    assert read("<think>hm", "still</think> It rained.") == "It rained."
    assert read("We write <think>x</think> here.") == "We write <think>x</think> here."
    assert read("First.", "<think>x</think>") == "First.<think>x</think>"
