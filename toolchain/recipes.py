"""Recipes of the equivalents of the official base images, and their content hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "images"
SUITE = "forky"
"""The Debian release with nginx 1.30 and Python 3.14."""

OWN = "loadbalancer-base/"
"""The prefix of the names of images made here."""

PACKING = 1
"""Increment it when a change of the code changes what is packed into an image."""

LABEL = "loadbalancer.base"


@dataclass(frozen=True)
class Recipe:
    """One base image: the official one, and its equivalent for machines that cannot pull it."""

    key: str
    """The name under `baseImages` in a stack's config."""
    official: str
    """The official image."""
    package: str
    """The Debian package whose version is the image's."""
    version: str
    """The prefix of that package's version."""

    @property
    def folder(self) -> Path:
        """Where its Dockerfile, its packages and its files are."""
        return FOLDER / self.key

    @property
    def packages(self) -> list[str]:
        """The Debian packages to install on top of a minimal system."""
        return (self.folder / "packages.txt").read_text().split()

    def files(self) -> list[Path]:
        """Return the recipe's files, sorted by name."""
        return sorted(path for path in self.folder.iterdir() if path.is_file())

    def own_name(self, digest: str) -> str:
        """Return the name of the image made by the recipe with that hash."""
        return f"{OWN}{self.key}:{self.version}-{digest}"

    def labels(self, digest: str, version: str) -> dict[str, str]:
        """Return labels that tell the image from the official one."""
        return {
            LABEL: self.official,
            f"{LABEL}.recipe": digest,
            "org.opencontainers.image.title": f"equivalent of {self.official}",
            "org.opencontainers.image.description": (
                f"Made from Debian {SUITE} packages in place of {self.official}. "
                "Not the official image."
            ),
            "org.opencontainers.image.version": version,
        }


PYTHON = Recipe("python", "python:3.14-slim", package="python3.14", version="3.14")
NGINX = Recipe("nginx", "nginx:1.30", package="nginx", version="1.30")
RECIPES = (PYTHON, NGINX)


def digest(recipe: Recipe, certificates: Iterable[str]) -> str:
    """Return 8 hex digits of a hash of everything that goes into the image.

    The host's certificates count: without those of today's proxy the image cannot download.
    """
    content = hashlib.sha256(f"{PACKING} {SUITE} {recipe.official}\n".encode())
    for path in recipe.files():
        content.update(f"{path.name} {path.stat().st_size}\n".encode())
        content.update(path.read_bytes())
    for body in sorted(certificates):
        content.update(f"{body}\n".encode())
    return content.hexdigest()[:8]
