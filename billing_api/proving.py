"""Proves the whole ledger again and again: a row edited by hand is found within hours (reliability 2.7)."""

from __future__ import annotations

import asyncio
from typing import Final

from django.db import close_old_connections
from prometheus_client import Gauge

from billing_api.billing_service.ledger_chain_proof import LedgerProof, prove_ledger
from shared import logs

FIRST_AFTER_SECONDS: Final = 600.0
EVERY_SECONDS: Final = 6 * 3600.0
BROKEN: Final = Gauge("billing_ledger_broken_chains", "Hash chains that do not follow, by the last proof")
PROVED: Final = Gauge("billing_ledger_proved_entries", "Ledger entries that the last proof walked over")

log = logs.logger(__name__)


class Prover:
    """A loop of billing-worker. A proof that fails for another reason is tried again an hour later."""

    def __init__(
        self, first_after_seconds: float = FIRST_AFTER_SECONDS, every_seconds: float = EVERY_SECONDS
    ) -> None:
        self._wait_seconds = first_after_seconds
        self._every_seconds = every_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Works until ``stop``."""
        while not stop.is_set():
            try:
                async with asyncio.timeout(self._wait_seconds):
                    await stop.wait()
                return
            except TimeoutError:
                self._wait_seconds = await asyncio.to_thread(self.prove)

    def prove(self) -> float:
        """One proof, into log and metrics; gives the seconds until the next."""
        close_old_connections()
        try:
            proof = prove_ledger()
        except Exception as error:
            log.warning("ledger-proof-failed", error=type(error).__name__)
            return min(3600.0, self._every_seconds)
        self._tell(proof)
        return self._every_seconds

    @staticmethod
    def _tell(proof: LedgerProof) -> None:
        BROKEN.set(len(proof.broken))
        PROVED.set(proof.entries)
        for row in proof.broken:
            log.error("ledger-broken", account_id=str(row.account_id), row=str(row))
        if proof.holds:
            log.info("ledger-proved", entries=proof.entries, chains=proof.chains)
