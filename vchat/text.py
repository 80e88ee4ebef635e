"""Text that people type and others read: normalized, countable, and free of tricks."""

import unicodedata

# Format characters that emoji and scripts need between letters: joiners and direction marks,
# which unlike overrides reorder nothing but neutral signs beside them.
_UNSEEN = frozenset("\u200c\u200d\u200e\u200f\u061c")
# Tags spell flags of regions; everything else in their block is reserved.
_TAGS = range(0xE0020, 0xE0080)


def clean_line(text: str, *, most: int, least: int = 1) -> str:
    """One line such as a name: NFC, no outer spaces, each inner run of them a single space.

    Raises ValueError when it is then not `least` to `most` code points long, or holds characters
    that cannot be seen and could change how others read the line (controls, bidi overrides).
    """
    line = " ".join(_composed(text).split())
    _refuse_tricks(line)
    return _measured(line, least, most)


def clean_text(text: str, *, most: int, least: int = 1) -> str:
    """Several lines, such as a chat message or a description: like `clean_line`, but line breaks
    and inner spaces stay as typed."""
    lines = _composed(text).replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ").strip()
    _refuse_tricks(lines.replace("\n", ""))
    return _measured(lines, least, most)


def search_key(text: str) -> str:
    """What two texts share when a person would call them the same: width and case aside."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _measured(text: str, least: int, most: int) -> str:
    if not least <= len(text) <= most:
        raise ValueError(f"Expected {least} to {most} characters, got {len(text)}")
    return text


def _refuse_tricks(text: str) -> None:
    for sign in text:
        # Cc controls, Cf format and bidi controls, Cs lone surrogates (not even UTF-8),
        # Zl and Zp line breaks that some readers draw and others do not.
        if (
            unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
            and sign not in _UNSEEN
            and ord(sign) not in _TAGS
        ):
            raise ValueError(f"The character U+{ord(sign):04X} cannot be used here")
    if text and all(sign in _UNSEEN or ord(sign) in _TAGS or sign == " " for sign in text):
        raise ValueError("Expected something that can be seen")
