"""What is in the image, as paths from its root."""
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    data: bytes
    mode: int = 0o644
    package: str | None = None


@dataclass(frozen=True)
class Link:
    """To another path from the root."""
    target: str
    package: str | None = None


@dataclass(frozen=True)
class Directory:
    mode: int = 0o755


def with_parents(entries):
    """The entries and the directories above them."""
    whole = dict(entries)
    for path in entries:
        while path := os.path.dirname(path):
            whole.setdefault(path, Directory())
    return dict(sorted(whole.items()))


def relative(path, link):
    return os.path.relpath(link.target, os.path.dirname(path) or '.')
