"""What happened in a run, and when: for whoever looks for a cause."""

import time
from pathlib import Path
from types import TracebackType


class Diary:
    """Written to a file at the end, in the order of time and in seconds from the beginning."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._began = time.monotonic()
        self._lines: list[tuple[float, str]] = []

    def write(self, at: float, what: str) -> None:
        """`at` is on the clock of time.monotonic."""
        self._lines.append((at, what))

    def __enter__(self) -> "Diary":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        lines = [f"{at - self._began:8.2f} {what}\n" for at, what in sorted(self._lines)]
        self._file.write_text("".join(lines))
