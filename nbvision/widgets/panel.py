"""What all widgets have in common: messages, errors in place, a static end.

A panel is one anywidget. Python holds the truth; the browser draws it and says what a person
did. Messages from the browser carry a number and are answered, so that a panel whose kernel
is gone can say so. Nothing is printed and no output is captured: in which cell that would
land depends on the version of the kernel.
"""

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, ParamSpec, TypeVar

import anywidget
from traitlets import Unicode

from nbvision.errors import RequestError
from nbvision.markup import plain
from nbvision.widgets.cells import close_earlier, shell
from nbvision.widgets.engine import engine
from nbvision.widgets.front_end import module, styles
from nbvision.widgets.messages import Message, error_words, sendable

__all__ = ["Panel", "freeze_widgets", "front_end", "weakly"]

Still = dict[str, str]

# One for all panels of a kernel: each may set another's values, in whichever thread it is
# told of something, and two locks taken in different orders would wait for each other.
_lock = threading.RLock()
Given = ParamSpec("Given")
Returned = TypeVar("Returned")


def weakly(method: Callable[Given, Returned]) -> Callable[Given, Returned | None]:
    """Return a function that calls a method as long as its object is alive.

    What a panel's helpers hold of their panel: a circle of references would keep its pictures
    until the kernel happens to look for circles.
    """
    reference = weakref.WeakMethod(method)

    def call(*given: Given.args, **named: Given.kwargs) -> Returned | None:
        found = reference()
        return None if found is None else found(*given, **named)

    return call


def front_end(name: str, view: str, *shown_with: str) -> tuple[Any, Any]:
    """Return the traits that hand a widget's module and styles to the browser."""
    code, style = module(name, view), styles(*shown_with, name)
    return Unicode(code).tag(sync=True), Unicode(style).tag(sync=True)


class Panel(anywidget.AnyWidget):
    """A widget that speaks in checked messages; the base of all of ours.

    A subclass gives `_state`, `_still` and one method ``_on_TYPE`` for each type of message.
    These run under the panel's lock, in whichever thread the kernel chooses: they are short,
    and what waits goes to `_in_background`.

    Parameters
    ----------
    inside
        The panel that this one is part of, and its name there; it then has no connection of
        its own.
    """

    _has_result: ClassVar[bool] = False
    """Whether a place for a result is opened under the widget."""
    # Until it is made there is nothing to close, not even when its arguments are refused.
    _is_closed = True

    def __init__(self, *, inside: "tuple[Panel, str] | None" = None, **traits: Any) -> None:
        self._lock = _lock
        self._inside = inside
        self._parts: dict[str, Panel] = {}
        self._is_closed = False
        self._views: list[Any] = []  # handles of the outputs that show it
        self._result_view: Any = None
        self._wanted: dict[str, Callable[[], object] | None] = {}
        super().__init__(**traits)
        if inside is None:
            self.on_msg(weakly(self._take))
            close_earlier(self)
        else:
            whole, name = inside
            whole._parts[name] = self

    # -- what a subclass gives ---------------------------------------------------------------

    def _state(self) -> tuple[dict[str, Any], list[bytes]]:
        """Return all that a browser needs to draw this, and the pictures that go with it."""
        raise NotImplementedError

    def _still(self) -> Still:
        """Return the bundle that stays when the widget is gone."""
        raise NotImplementedError

    def _result_so_far(self) -> Still | None:
        """Return what stands under the widget when it is shown; None for nothing yet."""
        return None

    # -- sending -----------------------------------------------------------------------------

    def _post(self, kind: str, buffers: Sequence[bytes] = (), **fields: Any) -> None:
        """Send a message to every view; any thread may."""
        if self._inside is not None:
            whole, name = self._inside
            whole._post(kind, buffers, **fields, part=name)
            return
        with self._lock:
            if not self._is_closed:
                message = sendable({"part": "", **fields, "type": kind})
                self.send(message, buffers=list(buffers))

    def _post_state(self) -> None:
        with self._lock:
            fields, buffers = self._state()
            self._post("state", buffers, **fields)

    def _show_error(self, error: BaseException) -> None:
        self._post("error", **dict[str, Any](error_words(error)))

    # -- receiving ---------------------------------------------------------------------------

    def _take(self, _: object, content: object, buffers: Sequence[memoryview]) -> None:
        """Take a message from the browser; an exception here would be seen by nobody."""
        fields = content if isinstance(content, Mapping) else {}
        number, kind, part = fields.get("id"), fields.get("type"), fields.get("part", "")
        answer: dict[str, Any] = {"id": number if isinstance(number, int) else 0}
        try:
            panel = self._parts.get(part) if part and isinstance(part, str) else self
            handler = getattr(panel, f"_on_{kind}", None) if isinstance(kind, str) else None
            if handler is None:
                raise RequestError(f"a message of type {kind!r}"[:100], cure="reload the page")  # noqa: TRY301 - shown like all others
            with self._lock:
                handler(Message(str(kind), fields, buffers))
        except Exception as error:  # noqa: BLE001 - whatever it is belongs into the widget
            answer |= {"error": error_words(error)}
        self._post("answer", **answer)

    def _on_hello(self, _: Message) -> None:
        self._post_state()

    def _in_background(self, action: Callable[[], object]) -> None:
        """Run what waits in a thread of its own; if it fails, the widget says so."""

        def run() -> None:
            try:
                action()
            except Exception as error:  # noqa: BLE001 - a thread's exception would be seen by nobody
                self._show_error(error)

        engine().work(run)

    def _in_background_once(self, name: str, action: Callable[[], object]) -> None:
        """Run what waits, one of a name at a time; of those asked for meanwhile, the newest."""
        with self._lock:
            is_running = name in self._wanted
            self._wanted[name] = action
        if not is_running:
            self._in_background(lambda: self._run_wanted(name))

    def _run_wanted(self, name: str) -> None:
        while True:
            with self._lock:
                action, self._wanted[name] = self._wanted[name], None
                if action is None or self._is_closed:
                    del self._wanted[name]
                    return
            try:
                action()
            except Exception as error:  # noqa: BLE001 - the same
                self._show_error(error)

    def _soon(self, seconds: float, action: Callable[[], object]) -> None:
        """Run something short on the engine's thread, under the lock, unless closed by then."""

        def run() -> None:
            with self._lock:
                if self._is_closed:
                    return
                try:
                    action()
                except Exception as error:  # noqa: BLE001 - the same
                    self._show_error(error)

        engine().later(seconds, run)

    # -- showing -----------------------------------------------------------------------------

    def _in_words(self) -> str:
        """Return what stands where a viewer has no widgets."""
        return repr(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the live view and a line of text, and nothing else.

        A still picture beside it would be shown instead of the widget by some viewers.
        """
        found = super()._repr_mimebundle_()
        data, metadata = found if found is not None else ({}, {})
        return {**data, "text/plain": plain(self._in_words())}, metadata

    def _ipython_display_(self) -> None:
        """Show the widget in an output that can be replaced, and its result's below."""
        from IPython.display import display

        if self._is_closed:
            display(self._still(), raw=True)  # type: ignore[no-untyped-call]
            return
        data, metadata = self._repr_mimebundle_()
        _shown.add(self)
        self._views.append(display(data, metadata=metadata, raw=True, display_id=True))  # type: ignore[no-untyped-call]
        if self._has_result:
            shown = self._result_so_far() or {"text/plain": ""}
            self._result_view = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def _show_result(self, shown: Still) -> bool:
        """Put a finished result under the widget, if it has a place there; any thread may."""
        if self._inside is not None:
            return self._inside[0]._show_result(shown)
        if self._result_view is None or self._is_closed:
            return False
        self._result_view.update(shown, raw=True)
        return True

    def freeze(self) -> None:
        """Replace the widget by what it shows, as pictures and text that stay.

        A saved notebook does not keep widgets: where one stood, the next reader sees an error.
        The static form survives saving, exporting and GitHub.
        """
        from IPython.display import display

        still = self._still()
        self._show_result({"text/plain": ""})
        for view in self._views:
            view.update(still, raw=True)
        if not self._views and shell() is not None:
            display(still, raw=True)  # type: ignore[no-untyped-call]
        self.close()

    def close(self) -> None:
        """Take the widget from the page and free what it held; results stay readable."""
        with _lock:  # not its own attribute: its arguments may have been refused before that
            if self._is_closed:
                return
            self._is_closed = True
            self._free()
        for part in self._parts.values():
            part.close()
            part.unobserve_all()
            part._inside = None
        self._parts.clear()
        if self._inside is None:
            layout = self.layout
            super().close()
            # Each widget brings a second one for its layout, which nothing else would close.
            layout.close()

    def __del__(self) -> None:
        """Do nothing, where a widget otherwise closes itself, which takes a lock.

        What is collected has no connection left to close, and collecting happens anywhere: in
        a thread that is just starting, say, while the one that starts it holds the lock.
        """

    def _free(self) -> None:
        """Let go of pictures and work under way; called once, under the lock."""

    def open(self) -> None:
        """Connect to the browser; a part speaks through the whole."""
        if self._inside is None:
            super().open()


_shown: "weakref.WeakSet[Panel]" = weakref.WeakSet()


def freeze_widgets() -> None:
    """Replace every widget of ours that this kernel shows by pictures and text that stay.

    What to do before a notebook is saved for others; see `Panel.freeze`.

    Raises
    ------
    NbvisionError
        The first error of a widget that could not be frozen; the others are.
    """
    failures: list[Exception] = []
    for panel in list(_shown):
        if not panel._is_closed:
            try:
                panel.freeze()
            except Exception as error:  # noqa: BLE001 - the others are to be frozen all the same
                failures.append(error)
    if failures:
        raise failures[0]
