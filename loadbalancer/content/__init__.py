"""Content: the files of an app or of nginx, which decide its image and the hash of that."""

import hashlib


def digest(data: bytes) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of data."""
    return hashlib.sha256(data).hexdigest()[:12]
