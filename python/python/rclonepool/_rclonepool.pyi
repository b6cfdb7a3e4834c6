from typing import Final

__all__ = ["RclonePoolError", "__version__", "check_path"]

__version__: Final[str]

class RclonePoolError(Exception):
    """What rclonepool raises; the text says what to do."""

    kind: str
    """What kind of failure it is, such as ``invalid_argument`` or ``unavailable``."""
    retryable: bool
    """Whether the same call may succeed a little later."""

def check_path(path: str) -> str:
    """The pool path `path` in its canonical form (a ``/`` at its end is dropped).

    Raises :class:`RclonePoolError` of kind ``invalid_argument``, saying which rule is broken.
    """
