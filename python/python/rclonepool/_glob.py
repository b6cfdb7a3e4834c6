"""Patterns of pool paths, as :mod:`glob` understands them."""

import re
from collections.abc import Callable, Iterable

from rclonepool._rclonepool import Entry

_MAGIC = re.compile(r"[*?\[]")


def is_pattern(text: str) -> bool:
    """Whether it holds ``*``, ``?`` or ``[``."""
    return _MAGIC.search(text) is not None


def root(pattern: str) -> str:
    """The directory above the first component that is a pattern."""
    kept: list[str] = []
    for part in pattern.split("/")[:-1]:
        if is_pattern(part):
            break
        kept.append(part)
    return "/".join(kept) or "/"


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a whole path matches: ``*`` and ``?`` within a component, ``**`` any number of components."""
    parts = []
    for part in pattern.split("/")[1:]:
        if part == "**":
            parts.append("(?:/[^/]+)*")
        else:
            parts.append("/" + _component(part))
    compiled = re.compile("".join(parts), re.DOTALL)
    return lambda path: compiled.fullmatch(path) is not None


def _component(part: str) -> str:
    out, at = [], 0
    while at < len(part):
        char = part[at]
        at += 1
        if char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[" and (end := part.find("]", at + 1)) > 0:
            inside = part[at:end].replace("\\", "\\\\").replace("[", "\\[")
            if inside.startswith("!"):
                inside = "^/" + inside[1:]
            elif inside.startswith("^"):
                inside = "\\" + inside
            out.append(f"[{inside}]")
            at = end + 1
        else:
            out.append(re.escape(char))
    return "".join(out)


def matching(pattern: str, entries: Iterable[Entry]) -> list[str]:
    """The paths that match, those of directories that only exist by what lies in them among them; sorted."""
    fits = matcher(pattern)
    above = root(pattern)
    # The root is nobody's child, so it matches nothing.
    seen = {above} - {"/"}
    for entry in entries:
        path = entry.path
        # With its ancestors, up to one that was seen or where the search began.
        while len(path) > len(above) and path not in seen:
            seen.add(path)
            path = path.rpartition("/")[0]
    return sorted(path for path in seen if fits(path))
