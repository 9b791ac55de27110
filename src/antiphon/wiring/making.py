"""The parts by which requests become responses: what was said before, what a model may call, and what it is asked."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from antiphon.grammars import Grammars
from antiphon.http.conversations import Conversations as ConversationRoutes
from antiphon.lifecycle.asides import own
from antiphon.lifecycle.compacting import Compacting
from antiphon.lifecycle.conversing import Conversing
from antiphon.lifecycle.equipping import Equipping
from antiphon.lifecycle.keeping import Keeping
from antiphon.lifecycle.lifecycle import Lifecycle
from antiphon.lifecycle.preparing import Preparing
from antiphon.lifecycle.prompts import Prompts
from antiphon.lifecycle.recalling import Recalling
from antiphon.lifecycle.tokens import Tokens
from antiphon.store.conversations import Conversations
from antiphon.store.store import Store
from antiphon.wiring import filtering
from antiphon.wiring.limits import limiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from antiphon.config import Config
    from antiphon.lifecycle import Deployment, Policy
    from antiphon.lifecycle.filtering import Filtering
    from antiphon.lifecycle.remotes import Remotes
    from antiphon.sealing import Seal
    from antiphon.store import Database
    from antiphon.wiring.showing import Showing


class Making:
    """Makes responses of requests. ``now`` gives unix seconds."""

    def __init__(
        self,
        config: Config,
        database: Database,
        *,
        showing: Showing,
        seal: Seal,
        policy: Policy,
        now: Callable[[], int],
    ) -> None:
        self._config = config
        self._showing = showing
        self._policy = policy
        self._now = now
        self._tokens = Tokens(seal, policy, now=now)
        self._grammars = Grammars()
        self._opened = AsyncExitStack()
        self.store = Store(database)
        self.book = showing.book
        self.compacting = Compacting(self._tokens)
        self.conversing = Conversing(Conversations(database), self.store, showing.shelf, tokens=self._tokens, now=now)
        self.keeping = Keeping(showing.shelf, seal, policy)
        self.limiting = limiting(config, database)

    def preparing(self, deployments: Mapping[str, Deployment], remotes: Remotes) -> Preparing:
        """What makes requests ready to run. Conversations have the same content filter from now on."""
        self.conversing.filtering = self._filtering(deployments)
        equipping = Equipping(
            drawings=self._showing.drawings,
            remotes=remotes,
            compacting=self.compacting,
            grammars=self._grammars,
            screens=self._showing.screens,
            policy=self._policy,
        )
        return Preparing(
            deployments=deployments,
            recalling=Recalling(self.store, self.conversing, self._tokens),
            equipping=equipping,
            prompts=Prompts(self._config.prompts),
            policy=self._policy,
            now=self._now,
            filtering=self.conversing.filtering,
        )

    def _filtering(self, deployments: Mapping[str, Deployment]) -> Filtering | None:
        made = filtering(self._config, own(deployments, self.book))
        if made is not None:
            self._opened.push_async_callback(made.aclose)
        return made

    def lifecycle(self, preparing: Preparing) -> Lifecycle:
        """What runs them while their clients wait."""
        return Lifecycle(preparing, self.store, self.keeping, self.book, limiting=self.limiting)

    def routes(self, body_limit: int) -> ConversationRoutes:
        """What answers the routes of conversations. ``body_limit`` is in bytes."""
        return ConversationRoutes(self.conversing, body_limit=body_limit)

    async def aclose(self) -> None:
        """Write what is to be counted, and let go of child processes and of connections to a judge."""
        await self.book.aclose()
        await self._opened.aclose()
        await self._grammars.aclose()
