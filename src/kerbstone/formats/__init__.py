"""One file per outside format: read into scenes, write out."""

from kerbstone.formats.intake import IngestReport, LogResult, ingest
from kerbstone.formats.registry import (
    Format,
    Log,
    TablesFormat,
    all_formats,
    find_logs,
    get_format,
    read_log,
)

__all__ = [
    "Format",
    "IngestReport",
    "Log",
    "LogResult",
    "TablesFormat",
    "all_formats",
    "find_logs",
    "get_format",
    "ingest",
    "read_log",
]
