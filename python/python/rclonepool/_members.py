"""Who belongs to the pool: remotes come, go, and take one another's place."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from rclonepool import _requests
from rclonepool._progress import ProgressLike

if TYPE_CHECKING:
    from rclonepool import reports

__all__ = ["AsyncMembers", "Members"]


def _add(remotes: str | Iterable[str], crypt: str | Iterable[str], alone: bool) -> dict[str, object]:
    return {"remotes": _requests.words(remotes), "crypt": _requests.words(crypt), "alone": alone}


class Members:
    """The part of :class:`Pool` that changes its remotes, in the pool and in the configuration's file.

    Remotes are named as in the configuration. Without `alone`, a change is finished after 24 hours, when every machine
    has seen it; `alone` says that no other machine writes to the pool. Afterwards the pool is opened anew, so files
    that are open, and operations under way in other threads, end in an error.
    """

    def _membership(self, change: str, progress: ProgressLike = None, /, **arguments: object) -> Any:
        raise NotImplementedError

    def add_remotes(
        self, remotes: str | Iterable[str], *, crypt: str | Iterable[str] = (), alone: bool = False
    ) -> "reports.MemberChange":
        """Takes empty remotes into the pool; they hold every manifest before they count.

        `crypt`: where the configuration lists ``crypt_remotes``, the one over each, in the same order.
        """
        return cast("reports.MemberChange", self._membership("add", **_add(remotes, crypt, alone)))

    @overload
    def drain_remote(self, remote: str, *, alone: bool = False, dry_run: Literal[True]) -> "reports.DrainPlan": ...
    @overload
    def drain_remote(
        self, remote: str, *, alone: bool = False, dry_run: Literal[False] = False, progress: ProgressLike = None
    ) -> "reports.DrainReport": ...

    def drain_remote(
        self, remote: str, *, alone: bool = False, dry_run: bool = False, progress: ProgressLike = None
    ) -> Any:
        """Moves everything off a remote, then lets it go; `dry_run` gives the plan, which says what becomes unsafer.

        It takes no new data from now on. Without `alone`, the same call after 24 hours finishes it.
        """
        return self._membership("drain", progress, remote=remote, alone=alone, dry_run=dry_run)

    def remove_remote(self, remote: str, *, alone: bool = False) -> "reports.MemberChange":
        """Lets a remote go on which no shard lies; :meth:`drain_remote` moves off what does."""
        return cast("reports.MemberChange", self._membership("remove", remote=remote, alone=alone))

    @overload
    def lose_remotes(self, remotes: str | Iterable[str], *, dry_run: Literal[True]) -> "reports.LossPlan": ...
    @overload
    def lose_remotes(
        self, remotes: str | Iterable[str], *, dry_run: Literal[False] = False
    ) -> "reports.LossReport": ...

    def lose_remotes(self, remotes: str | Iterable[str], *, dry_run: bool = False) -> Any:
        """Declares remotes lost for good with all that lay on them: they go at once, and are never accepted again.

        All other remotes must be online. ``rebuild(all=True)`` then restores what lay there. `dry_run` says the cost.
        """
        return self._membership("lose", remotes=_requests.words(remotes), dry_run=dry_run)

    @overload
    def replace_remote(
        self, old: str, new: str, *, crypt: str | None = None, alone: bool = False, dry_run: Literal[True]
    ) -> "reports.LossPlan": ...
    @overload
    def replace_remote(
        self, old: str, new: str, *, crypt: str | None = None, alone: bool = False, dry_run: Literal[False] = False
    ) -> "reports.LossReport": ...

    def replace_remote(
        self, old: str, new: str, *, crypt: str | None = None, alone: bool = False, dry_run: bool = False
    ) -> Any:
        """Declares `old` lost for good and takes `new`, an empty remote, in its place; it may have the same name.

        What lay on `old` counts as missing: :meth:`rebuild` then makes it from the other shards. `dry_run` says the
        cost. `crypt`: the crypt remote over `new`, where the configuration lists ``crypt_remotes``.
        """
        return self._membership("replace", old=old, new=new, crypt=crypt, alone=alone, dry_run=dry_run)


class AsyncMembers:
    """As :class:`Members`, with ``await``."""

    async def _membership(self, change: str, progress: ProgressLike = None, /, **arguments: object) -> Any:
        raise NotImplementedError

    async def add_remotes(
        self, remotes: str | Iterable[str], *, crypt: str | Iterable[str] = (), alone: bool = False
    ) -> "reports.MemberChange":
        return cast("reports.MemberChange", await self._membership("add", **_add(remotes, crypt, alone)))

    async def drain_remote(
        self, remote: str, *, alone: bool = False, dry_run: bool = False, progress: ProgressLike = None
    ) -> Any:
        return await self._membership("drain", progress, remote=remote, alone=alone, dry_run=dry_run)

    async def remove_remote(self, remote: str, *, alone: bool = False) -> "reports.MemberChange":
        return cast("reports.MemberChange", await self._membership("remove", remote=remote, alone=alone))

    async def lose_remotes(self, remotes: str | Iterable[str], *, dry_run: bool = False) -> Any:
        return await self._membership("lose", remotes=_requests.words(remotes), dry_run=dry_run)

    async def replace_remote(
        self, old: str, new: str, *, crypt: str | None = None, alone: bool = False, dry_run: bool = False
    ) -> Any:
        return await self._membership("replace", old=old, new=new, crypt=crypt, alone=alone, dry_run=dry_run)
