"""The seller as documents name it; the values come from the settings of the process that makes a document."""

from __future__ import annotations

import re
from dataclasses import dataclass

from billing_api.billing_service.wording import NBSP, Language


@dataclass(frozen=True, slots=True)
class Seller:
    """Requisites; an empty one is left out of the document."""

    name_ru: str
    name_en: str
    address_ru: str
    address_en: str
    tax_number: str  # INN
    registration_reason_code: str = ""  # KPP
    registration_number: str = ""  # OGRN
    bank: str = ""  # account, bank, BIC, correspondent account, as one text
    email: str = ""
    accountant: str = ""
    director: str = ""

    def lines(self, language: Language) -> list[str]:
        """What stands under the seller's name."""
        if language == "ru":
            codes = [
                f"ИНН{NBSP}{self.tax_number}",
                self.registration_reason_code and f"КПП{NBSP}{self.registration_reason_code}",
                self.registration_number and f"ОГРН{NBSP}{self.registration_number}",
            ]
            return _told([self.address_ru, ", ".join(_told(codes)), _kept(self.bank), self.email])
        codes = [
            f"INN{NBSP}{self.tax_number}",
            self.registration_reason_code and f"KPP{NBSP}{self.registration_reason_code}",
            self.registration_number and f"OGRN{NBSP}{self.registration_number}",
        ]
        return _told([self.address_en, ", ".join(_told(codes)), _kept(self.bank), self.email])

    def name(self, language: Language) -> str:
        return self.name_ru if language == "ru" else self.name_en


def _kept(text: str) -> str:
    """Numbers stay on the line of the word they belong to (``БИК 044525000``)."""
    return re.sub(r" (?=\d)", NBSP, text)


def _told(texts: list[str]) -> list[str]:
    return [text for text in texts if text]
