"""One round of a conversation, and how it shows itself."""

from collections.abc import Iterator
from dataclasses import dataclass

from nbvision.markup import escape
from nbvision.referenced import RemoteImage, SentImage
from nbvision.results import Reply, sent_pictures

__all__ = ["Turn"]

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
        return "\n".join([*lines, f"You: {self.prompt}", f"{self.reply.model}: {self.reply.text}"])

    def to_html(self) -> str:
        """Return the turn as HTML, with a thumbnail of each picture."""
        wrap = "white-space:pre-wrap;max-width:60em;margin:.3em 0"
        who, text = escape(self.reply.model), escape(self.reply.text)
        return (
            f"{sent_pictures(self._named(), _THUMBNAIL)}"
            f'<div style="{wrap}"><b>You:</b> {escape(self.prompt)}</div>'
            f'<div style="{wrap}"><b>{who}:</b> {text}</div>'
        )

    def _named(self) -> Iterator[tuple[str, SentImage]]:
        for number, image in enumerate(self.images, start=self.first_number):
            where = image.source if isinstance(image, RemoteImage) else image.source.source
            yield f"Image {number}: {where}", image
