"""Where a file backend of Pulumi's keeps what it has."""

from pathlib import Path
from urllib.parse import unquote, urlsplit


def folder(backend: str) -> Path | None:
    """Find the folder of a backend by its address; None where it is not a folder."""
    url = urlsplit(backend)
    return Path(unquote(url.netloc + url.path)) / ".pulumi" if url.scheme == "file" else None
