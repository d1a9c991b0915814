"""What the terminal remembers: transactions, tokens, stored answers; replayed from its file at start."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final, TextIO

from pay_api.sandbox.transaction import SavedCard, Status, Transaction
from shared.ids import new_id

ANSWER_KEPT: Final = timedelta(hours=1)
_FORGOTTEN_AT_ONCE: Final = 10
_FIRST_MILLISECOND: Final = 1_767_225_600_000  # 2026-01-01; keeps ids shorter than card numbers


class Journal:
    """Append-only lines of JSON, one per change; each kind of record has one reader that replays it."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._readers: dict[str, Callable[[dict[str, Any]], None]] = {}

    def register(self, kind: str, reader: Callable[[dict[str, Any]], None]) -> None:
        self._readers[kind] = reader

    def replay(self) -> None:
        """Reads what an earlier process wrote, then opens the file for appending."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        complete = True
        if self._path.exists():
            with self._path.open(encoding="utf-8") as lines:
                for line in lines:
                    complete = line.endswith("\n")
                    if complete:  # a line cut by a crash never took effect
                        entry = json.loads(line)
                        self._readers[entry["kind"]](entry["record"])
        self._path.touch(mode=0o600)  # it holds payers' addresses
        self._file = self._path.open("a", encoding="utf-8")
        if not complete:
            self._drop_last_line()

    def _drop_last_line(self) -> None:
        assert self._path is not None
        content = self._path.read_bytes()
        with self._path.open("r+b") as raw:
            raw.truncate(content.rfind(b"\n") + 1)

    @property
    def keeps(self) -> bool:
        """Whether anything is written at all: else no record need be made for it."""
        return self._file is not None

    def write(self, kind: str, record: dict[str, Any]) -> None:
        if self._file is not None:
            line = json.dumps({"kind": kind, "record": record}, ensure_ascii=False, separators=(",", ":"))
            self._file.write(line + "\n")
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class Store:
    """Transactions by id in order of creation, saved cards by token, answers by X-Request-ID."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._transactions: dict[int, Transaction] = {}
        self._unfinished: dict[int, Transaction] = {}  # what time alone may end: holds, links, payouts
        self._cards: dict[str, SavedCard] = {}
        self._answers: dict[str, tuple[datetime, dict[str, Any]]] = {}
        journal.register("transaction", self._replay_transaction)
        journal.register("card", self._replay_card)
        journal.register("answer", self._replay_answer)

    def _replay_transaction(self, record: dict[str, Any]) -> None:
        self._keep(Transaction.from_record(record))

    def _keep(self, transaction: Transaction) -> None:
        self._transactions[transaction.id] = transaction
        if transaction.status in (Status.CREATED, Status.AUTHORIZED):
            self._unfinished[transaction.id] = transaction
        else:
            self._unfinished.pop(transaction.id, None)

    def _replay_card(self, record: dict[str, Any]) -> None:
        self._cards[record["token"]] = SavedCard(**record)

    def _replay_answer(self, record: dict[str, Any]) -> None:
        self._answers[record["request_id"]] = (datetime.fromisoformat(record["at"]), record["body"])

    def next_id(self) -> int:
        """Host milliseconds since 2026, so that a restart that forgot everything never gives an id twice."""
        newest = next(reversed(self._transactions), 0)
        return max((new_id().int >> 80) - _FIRST_MILLISECOND, newest + 1)

    def save(self, transaction: Transaction) -> None:
        self._keep(transaction)
        if self._journal.keeps:
            self._journal.write("transaction", transaction.as_record())

    def transaction(self, transaction_id: int) -> Transaction | None:
        return self._transactions.get(transaction_id)

    def unfinished(self) -> list[Transaction]:
        """Holds, and what is under way, oldest first."""
        return list(self._unfinished.values())

    def oldest_first(self) -> Iterator[Transaction]:
        return iter(self._transactions.values())

    def newest_first(self) -> Iterator[Transaction]:
        return reversed(self._transactions.values())

    def card(self, token: str, account_id: str) -> SavedCard | None:
        """The card behind a token, if it was saved for that account."""
        card = self._cards.get(token)
        return card if card is not None and card.account_id == account_id else None

    def cards(self) -> list[SavedCard]:
        """Every saved card, oldest first."""
        return list(self._cards.values())

    def save_card(self, transaction: Transaction) -> str:
        """The token for the card of a successful payment; the same card of one account has one token."""
        assert transaction.account_id is not None
        wanted = SavedCard(
            token="",
            account_id=transaction.account_id,
            first_six=transaction.card_first_six or "",
            last_four=transaction.card_last_four or "",
            exp_date=transaction.card_exp_date or "",
            card_type=transaction.card_type or "",
            card_type_code=transaction.card_type_code or 0,
            reason_code=transaction.token_reason_code,
            is_account=transaction.payment_method is not None,
        )
        record = asdict(wanted)
        for card in self._cards.values():
            if {**asdict(card), "token": ""} == record:
                return card.token
        record["token"] = "tk_" + secrets.token_hex(15)[:29]
        self._replay_card(record)
        self._journal.write("card", record)
        return str(record["token"])

    def answer(self, request_id: str, now: datetime) -> dict[str, Any] | None:
        """The answer stored under an X-Request-ID within the last hour."""
        found = self._answers.get(request_id)
        return found[1] if found is not None and now - found[0] < ANSWER_KEPT else None

    def store_answer(self, request_id: str, body: dict[str, Any], now: datetime) -> None:
        self._answers[request_id] = (now, body)
        self._journal.write("answer", {"request_id": request_id, "body": body, "at": now.isoformat()})
        for key, (at, _) in list(islice(self._answers.items(), _FORGOTTEN_AT_ONCE)):  # the oldest stand first
            if now - at >= ANSWER_KEPT:
                del self._answers[key]
