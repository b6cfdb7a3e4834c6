"""Calling again what may succeed a little later."""

import functools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from rclonepool.exceptions import RclonePoolError

__all__ = ["RetryConfig", "retry_with_backoff"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True)
class RetryConfig:
    """How often, and after which pauses. The core retries single requests by itself; this is for whole operations."""

    max_retries: int = 3
    """How often a failed call is made again."""
    base_delay: float = 1.0
    """The pause before the first retry, in seconds; it doubles with each."""
    max_delay: float = 60.0
    """The longest pause, in seconds."""
    jitter: bool = True
    """Whether a pause is shortened by chance, to as little as its half, so that many do not come back together."""
    sleep: Callable[[float], object] = time.sleep
    """What waits."""

    def is_retryable(self, error: BaseException) -> bool:
        """Whether the call may succeed a little later: as the core says of its own errors."""
        if isinstance(error, RclonePoolError):
            return error.retryable
        return isinstance(error, (ConnectionError, TimeoutError))

    def delay(self, retry: int) -> float:
        """The pause before a retry, counted from 0."""
        pause = min(self.base_delay * 2.0**retry, self.max_delay)
        return pause * random.uniform(0.5, 1.0) if self.jitter else pause


def retry_with_backoff(config: RetryConfig | None = None) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """A decorator: calls again, after a growing pause, what failed in a way that may pass."""
    rules = config or RetryConfig()

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            retry = 0
            while True:
                try:
                    return function(*args, **kwargs)
                except Exception as error:
                    if retry >= rules.max_retries or not rules.is_retryable(error):
                        raise
                rules.sleep(rules.delay(retry))
                retry += 1

        return call

    return decorate
