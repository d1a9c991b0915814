"""The seller as documents name it; the values come from the settings of the process that makes a document."""

from __future__ import annotations

import re
from dataclasses import dataclass

from billing_api.billing_service.wording import NBSP, Language


@dataclass(frozen=True, slots=True)
class Seller:
    """Requisites; an empty one is left out. Where there is no English text the Russian one stands."""

    name_ru: str
    name_en: str
    address_ru: str
    address_en: str
    tax_number: str  # INN
    registration_reason_code: str = ""  # KPP
    registration_number: str = ""  # OGRN
    bank_ru: str = ""  # account, bank, BIC, correspondent account, as one text
    bank_en: str = ""
    email: str = ""
    accountant_ru: str = ""
    accountant_en: str = ""
    director_ru: str = ""
    director_en: str = ""

    def lines(self, language: Language) -> list[str]:
        """What stands under the seller's name."""
        if language == "ru":
            codes = [
                f"ИНН{NBSP}{self.tax_number}",
                self.registration_reason_code and f"КПП{NBSP}{self.registration_reason_code}",
                self.registration_number and f"ОГРН{NBSP}{self.registration_number}",
            ]
            return _told([self.address_ru, ", ".join(_told(codes)), _kept(self.bank_ru), self.email])
        codes = [
            f"INN{NBSP}{self.tax_number}",
            self.registration_reason_code and f"KPP{NBSP}{self.registration_reason_code}",
            self.registration_number and f"OGRN{NBSP}{self.registration_number}",
        ]
        bank = self.bank_en or self.bank_ru
        return _told([self.address_en or self.address_ru, ", ".join(_told(codes)), _kept(bank), self.email])

    def name(self, language: Language) -> str:
        return self.name_ru if language == "ru" else self.name_en or self.name_ru

    def people(self, language: Language) -> list[tuple[str, str]]:
        """Who signs, by role; nobody who is not named."""
        director, accountant = self.director_ru, self.accountant_ru
        if language == "en":
            director, accountant = self.director_en or director, self.accountant_en or accountant
        return [(role, name) for role, name in (("director", director), ("accountant", accountant)) if name]


def _kept(text: str) -> str:
    """Numbers stay on the line of the word they belong to (``БИК 044525000``)."""
    return re.sub(r" (?=\d)", NBSP, text)


def _told(texts: list[str]) -> list[str]:
    return [text for text in texts if text]
