"""Text that people type: what becomes of it, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vchat.text import clean_line, clean_text, search_key
from vchat.times import parse_rfc3339, rfc3339


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  a \t b\n c  ", "a b c"),
        ("か\u3099", "が"),
        ("全角　空白", "全角 空白"),
        ("👩‍👩‍👧‍👦", "👩‍👩‍👧‍👦"),
        ("🏴󠁧󠁢󠁷󠁬󠁳󠁿", "🏴󠁧󠁢󠁷󠁬󠁳󠁿"),
        ("نام‌ها", "نام‌ها"),
        ("שלום\u200e!", "שלום\u200e!"),
    ],
)
def test_a_line_is_normalized_and_keeps_what_scripts_and_emoji_need(typed, kept):
    assert clean_line(typed, most=40) == kept


@pytest.mark.parametrize(
    "sign",
    [
        *("\x00", "\x1b", "\x7f", "\x9b", "\u202a", "\u202e", "\u2066", "\u2069"),
        *("\ufeff", "\u200b", "\ud800", "\u2028", "\ufff9"),
    ],
)
def test_signs_that_could_trick_a_reader_are_refused(sign):
    # \u2028 is white space, and becomes a space in a line.
    if sign != "\u2028":
        with pytest.raises(ValueError, match=r"U\+"):
            clean_line(f"a{sign}b", most=40)
    with pytest.raises(ValueError, match=r"U\+"):
        clean_text(f"a{sign}b", most=40)


@pytest.mark.parametrize("typed", ["", "   ", "\u200d", "\u200e \u200f"])
def test_what_cannot_be_seen_is_not_a_name(typed):
    with pytest.raises(ValueError, match="Expected"):
        clean_line(typed, most=40)


def test_text_keeps_its_lines():
    assert clean_text("\n a\r\nb\rc\n\n  d\te \n", most=40) == "a\nb\nc\n\n  d e"


def test_lengths_are_counted_after_all_that():
    assert clean_line(" " * 50 + "𠮷" * 40, most=40) == "𠮷" * 40
    with pytest.raises(ValueError, match="got 41"):
        clean_line("a" * 41, most=40)


@given(st.text(max_size=30))
def test_what_was_cleaned_is_clean(typed):
    for clean in (clean_line, clean_text):
        try:
            once = clean(typed, most=100)
        except ValueError:
            continue
        assert clean(once, most=100) == once
        once.encode()


@given(st.text(max_size=30))
def test_search_finds_what_differs_in_case_only(typed):
    assert search_key(search_key(typed)) == search_key(typed)


@given(st.floats(min_value=0, max_value=200_000_000_000))
def test_times_sort_as_their_text_does(seconds):
    text = rfc3339(seconds)
    assert len(text) == len("2026-11-23T09:30:00.000Z")
    assert abs(parse_rfc3339(text) - seconds) < 0.01
    assert rfc3339(seconds + 1) > text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-23",
        "2026-11-23T09:30:00",
        "2026-13-01T00:00:00Z",
        "２０26-11-23T00:00:00Z",
        "2026-11-23T09:30:00Z\n",
    ],
)
def test_what_is_no_time_is_a_value_error(text):
    with pytest.raises(ValueError):
        parse_rfc3339(text)
