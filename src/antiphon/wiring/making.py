"""The parts by which requests become responses: what was said before, what a model may call, and what it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.grammars import Grammars
from antiphon.http.conversations import Conversations as ConversationRoutes
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

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from antiphon.config import Config
    from antiphon.lifecycle import Deployment, Policy
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
        self.store = Store(database)
        self.compacting = Compacting(self._tokens)
        self.conversing = Conversing(Conversations(database), self.store, showing.shelf, tokens=self._tokens, now=now)
        self.keeping = Keeping(showing.shelf, seal, policy)

    def preparing(self, deployments: Mapping[str, Deployment], remotes: Remotes) -> Preparing:
        """What makes requests ready to run."""
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
        )

    def lifecycle(self, preparing: Preparing) -> Lifecycle:
        """What runs them while their clients wait."""
        return Lifecycle(preparing, self.store, self.keeping)

    def routes(self, body_limit: int) -> ConversationRoutes:
        """What answers the routes of conversations. ``body_limit`` is in bytes."""
        return ConversationRoutes(self.conversing, body_limit=body_limit)

    async def aclose(self) -> None:
        """Let go of child processes."""
        await self._grammars.aclose()
