"""Certificate authorities in PEM bundles."""

from __future__ import annotations

import re
from pathlib import Path

HOST_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")

_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", flags=re.DOTALL
)


def parse(text: str) -> list[str]:
    """Return the base64 bodies of a bundle's certificates, in order, each once, unwrapped."""
    bodies = ("".join(body.split()) for body in _CERTIFICATE.findall(text))
    return list(dict.fromkeys(bodies))


def pem(body: str) -> str:
    """Write one certificate from its base64 body."""
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def of_host() -> list[str]:
    """Return what this host trusts; empty where it has no bundle."""
    return parse(HOST_BUNDLE.read_text()) if HOST_BUNDLE.is_file() else []


def missing(host: list[str], image: list[str]) -> list[str]:
    """Return the host's certificates that an image does not bring itself."""
    brought = set(image)
    return [body for body in host if body not in brought]
