"""Stopping between two steps after Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class GracefulShutdown:
    """In this context, the first Ctrl-C or SIGTERM is stored in `requested_signal` instead of interrupting a step,
    so that a checkpoint can be written before `stop`. The second one interrupts, unless `patient`: torchrun sends
    both for one Ctrl-C, and kills a process after half a minute."""

    def __init__(self, patient: bool = False) -> None:
        self.patient = patient
        self.requested_signal: signal.Signals | None = None
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> GracefulShutdown:
        if threading.current_thread() is threading.main_thread():  # others may not set handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) == signal.SIG_IGN:  # as for work in the background
                    continue
                self._before[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def raise_if_requested(self) -> None:
        """Stop now after a signal; for long work without steps."""
        if self.requested_signal and not self.patient:
            self.stop()

    def stop(self) -> None:
        """End as the signal would have: KeyboardInterrupt for Ctrl-C, exit code 143 for SIGTERM, and for a signal that
        reached another process alone."""
        if self.requested_signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + signal.SIGTERM)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested_signal and not self.patient:
            raise KeyboardInterrupt
        self.requested_signal = self.requested_signal or signal.Signals(number)
