"""Names from users beside words of ours: text that reads from right to left stays in its own place."""

from __future__ import annotations

from unicodedata import bidirectional

_FIRST_STRONG_ISOLATE, _POP_ISOLATE, _POP_EMBEDDING = "\u2068", "\u2069", "\u202c"
_CLOSED_BY = {
    **dict.fromkeys("\u202a\u202b\u202d\u202e", _POP_EMBEDDING),
    **dict.fromkeys("\u2066\u2067\u2068", _POP_ISOLATE),
}
"""Marks that change the direction of what follows, each with the mark that ends it."""

_TURNING = {"R", "AL", "AN", "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def isolated(text: str) -> str:
    """Text that leaves the direction of what stands beside it alone; itself where nothing in it could change that."""
    if not any(bidirectional(letter) in _TURNING for letter in text):
        return text
    return f"{_FIRST_STRONG_ISOLATE}{balanced(text)}{_POP_ISOLATE}"


def balanced(text: str) -> str:
    """Text in which each change of direction ends, and in which nothing ends one that began outside of it."""
    awaited: list[str] = []
    kept = []
    for letter in text:
        if letter in _CLOSED_BY:
            awaited.append(_CLOSED_BY[letter])
        elif letter == _POP_ISOLATE and letter in awaited:
            # The end of an isolate ends the embeddings inside it too.
            while awaited.pop() != _POP_ISOLATE:
                pass
        elif letter == _POP_EMBEDDING and awaited[-1:] == [letter]:
            awaited.pop()
        elif letter in (_POP_ISOLATE, _POP_EMBEDDING):
            continue
        kept.append(letter)
    return "".join((*kept, *reversed(awaited)))


def unmarked(text: str) -> str:
    """Text without marks of direction, for what draws each of them as a letter."""
    return "".join(letter for letter in text if letter not in (_POP_ISOLATE, _POP_EMBEDDING, *_CLOSED_BY))
