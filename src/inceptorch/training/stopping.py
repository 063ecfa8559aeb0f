"""Stopping between two steps when the system or the person asks for it."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Stopping:
    """While this lasts, the first Ctrl-C or SIGTERM is remembered in `asked` instead of breaking into a step, so that a
    checkpoint can be written before it is obeyed with `obey`. The second one breaks in, unless `patient`: torchrun hands
    on Ctrl-C as both, and kills whoever takes half a minute."""

    def __init__(self, patient: bool = False) -> None:
        self.patient = patient
        self.asked: signal.Signals | None = None
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():  # others may not set handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) == signal.SIG_IGN:  # as for work in the background
                    continue
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def obey_if_asked(self) -> None:
        """End now if that was asked for, as where a long work without steps can be broken off."""
        if self.asked and not self.patient:
            self.obey()

    def obey(self) -> None:
        """End as the signal would have ended it: KeyboardInterrupt for Ctrl-C, exit code 143 for SIGTERM, and for one that
        reached another process alone."""
        if self.asked == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + signal.SIGTERM)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and not self.patient:
            raise KeyboardInterrupt
        self.asked = self.asked or signal.Signals(number)
