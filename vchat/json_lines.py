"""Log records as one JSON object per line, with the names that Cloud Logging reads."""

import logging

import msgspec

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """`severity`, `message`, `logger`, a traceback, and every `extra` field under its own name.

    A `trace` of a request becomes what Cloud Logging joins the lines of one request by, if the
    `project` is known. JSON escapes line breaks, so nothing that a stranger sends can begin a line
    of its own.
    """

    def __init__(self, project: str | None = None) -> None:
        super().__init__()
        self._project = project

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "severity": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            **{name: value for name, value in vars(record).items() if name not in _STANDARD},
        }
        if self._project and (trace := line.pop("trace", None)):
            line["logging.googleapis.com/trace"] = f"projects/{self._project}/traces/{trace}"
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()
