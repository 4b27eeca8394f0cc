"""One round of a conversation, and how it shows itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nbvision.caching import cache_in_words
from nbvision.errors import RequestError
from nbvision.markup import escape
from nbvision.referenced import RemoteImage, SentImage, UploadedImage
from nbvision.request import RequestMessage
from nbvision.response import Usage
from nbvision.results import Cost, Reply, sent_pictures, stored_in_words, tokens_then

__all__ = [
    "Turn",
    "chosen_number",
    "cost_of_turns",
    "said_again",
    "turns_in_words",
    "usage_of_turns",
]

_THUMBNAIL = 160


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation.

    Attributes
    ----------
    prompt
        The words that were asked.
    images
        The pictures that came with them, as sent.
    first_number
        The number of the first of them, counted through the conversation from 1.
    reply
        The answer.
    """

    prompt: str
    images: tuple[SentImage, ...]
    first_number: int
    reply: Reply

    def in_words(self) -> str:
        """Return the turn as text: its pictures by name, the words, the answer."""
        lines = [words for words, _ in self._named()]
        lines += [f"You: {self.prompt}", f"{self.reply.model}: {self.reply.text}"]
        return "\n".join([*lines, *[f"({words})" for words in self._stored()]])

    def to_html(self) -> str:
        """Return the turn as HTML, with a thumbnail of each picture."""
        wrap = "white-space:pre-wrap;max-width:60em;margin:.3em 0"
        who, text = escape(self.reply.model), escape(self.reply.text)
        return (
            f"{sent_pictures(self._named(), _THUMBNAIL)}"
            f'<div style="{wrap}"><b>You:</b> {escape(self.prompt)}</div>'
            f'<div style="{wrap}"><b>{who}:</b> {text}</div>'
            + "".join(
                f'<div style="opacity:.75"><small>{escape(words)}</small></div>'
                for words in self._stored()
            )
        )

    def _stored(self) -> Iterator[str]:
        if self.reply.from_store is not None:
            yield stored_in_words(self.reply.from_store)

    def _named(self) -> Iterator[tuple[str, SentImage]]:
        for number, image in enumerate(self.images, start=self.first_number):
            where = image.source if isinstance(image, RemoteImage) else image.source.source
            yield f"Image {number}: {where}", image


def chosen_number(image_number: object, count: int) -> int:
    """Return which of so many pictures is meant, counted from 1; the last if none is named.

    Raises
    ------
    RequestError
        If there is no such picture.

    Examples
    --------
    >>> chosen_number(None, 3), chosen_number(1, 3)
    (3, 1)
    """
    number = count if image_number is None else image_number
    if isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= count:
        return number
    raise RequestError(
        f"image_number={image_number!r} of {count} pictures"[:200],
        limit=f"1 to {count}" if count else "a conversation with pictures",
        cure='give the picture: chat.locate("every window", image)',
    )


def said_again(turns: Sequence[Turn], held_by: str) -> tuple[RequestMessage, ...]:
    """Return all turns as the messages that are sent again.

    Parameters
    ----------
    turns
        What was said.
    held_by
        Whose files can be named there; empty if none can be. A file that cannot be named, or
        not any more, goes as the bytes it holds.
    """
    if not turns:
        return ()
    last = turns[-1].reply
    said = (
        RequestMessage(
            message.role,
            tuple(
                block.carried()
                if isinstance(block, UploadedImage) and not block.can_be_named(held_by)
                else block
                for block in message.blocks
            ),
        )
        for message in last.request.messages
    )
    return (*said, RequestMessage("assistant", (last.text,)))


def usage_of_turns(turns: Sequence[Turn]) -> Usage:
    """Return the tokens of all turns together; of stored answers those they had then."""
    return _together([turn.reply for turn in turns])


def cost_of_turns(turns: Sequence[Turn]) -> Cost:
    """Return what all turns cost together; stored answers nothing, and not known if one is not."""
    costs = [turn.reply.cost for turn in turns]
    saved = _sum_if_known([cost.saved for cost in costs])
    return Cost(_sum_if_known([cost.dollars for cost in costs]), saved=saved)


def turns_in_words(turns: Sequence[Turn]) -> str:
    """Return how many turns and pictures, what was paid for them, and what was stored.

    Examples
    --------
    >>> turns_in_words([])
    '0 turns, 0 images · 0 tokens in, 0 out · $0.00'
    """
    stored = [turn.reply for turn in turns if turn.reply.from_store is not None]
    asked = [turn.reply for turn in turns if turn.reply.from_store is None]
    pictures = sum(len(turn.images) for turn in turns)
    parts = [f"{_counted(len(turns), 'turn')}, {_counted(pictures, 'image')}"]
    if asked or not stored:
        usage, cost = _together(asked), cost_of_turns(turns)
        parts += [f"{usage.total_input_tokens:,} tokens in, {usage.output_tokens:,} out", f"{cost}"]
        parts += filter(None, [cache_in_words(usage, cost.saved)])
    if stored:
        which = f"{_counted(len(stored), 'turn')} " if asked else ""
        when = stored_in_words(*[reply.from_store for reply in stored if reply.from_store])
        parts += [f"{which}{when}", tokens_then(_together(stored))]
    return " · ".join(parts)


def _together(replies: Sequence[Reply]) -> Usage:
    usages = [reply.usage for reply in replies]
    return Usage(
        sum(usage.input_tokens for usage in usages),
        sum(usage.output_tokens for usage in usages),
        sum(usage.cache_read_tokens for usage in usages),
        sum(usage.cache_write_tokens for usage in usages),
        sum(usage.thinking_tokens for usage in usages),
    )


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _sum_if_known(amounts: list[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None
