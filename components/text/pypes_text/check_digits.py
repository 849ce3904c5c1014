"""Numbers that people are known by, told from other numbers by their check digits.

Each function takes a candidate without spaces and separators, letters in upper case, and tells whether it can be such a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

#: Length of an IBAN by country (ISO 13616, the registry of SWIFT).
IBAN_LENGTHS: Final[Mapping[str, int]] = MappingProxyType(
    {
        **{"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28},
        **{"CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18},
        **{"FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22},
        **{"IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20},
        **{"LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18},
        **{"NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24},
        **{"SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24},
        **{"XK": 20},
    }
)


#: Lengths of the numbers of payment cards by their first digit.
CARD_LENGTHS: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {"2": (16,), "3": (14, 15, 16), "4": (13, 16, 19), "5": (16,), "6": (16, 17, 18, 19)}
)


def is_iban(text: str) -> bool:
    """ISO 13616: the letters as numbers from 10 on, the first four characters moved to the end, modulo 97 (ISO 7064)."""
    return IBAN_LENGTHS.get(text[:2]) == len(text) and int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1


def is_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = sum(map(int, digits[-1::-2])) + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return total % 10 == 0


def is_card(digits: str) -> bool:
    """A payment card: as many digits as there are on cards of those that issue numbers with this first digit, not all alike."""
    return len(digits) in CARD_LENGTHS.get(digits[0], ()) and len({*digits}) > 1 and is_luhn(digits)


def is_us_ssn(digits: str) -> bool:
    """A Social Security number of the USA has no check digit; areas 000, 666 and 900 on are never given."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def is_german_tax_id(digits: str) -> bool:
    """Steuer-Identifikationsnummer: of the first ten digits one comes twice or three times; ISO 7064, modulo 11, 10."""
    counts = sorted((digits[:10].count(digit) for digit in {*digits[:10]}), reverse=True)
    if digits[0] == "0" or counts[0] not in (2, 3) or (len(counts) > 1 and counts[1] != 1):
        return False
    product = 10
    for digit in digits[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def is_french_nir(text: str) -> bool:
    """Numéro d'inscription au répertoire: the key is 97 less the number modulo 97; 2A and 2B (Corsica) count as 19 and 18."""
    number = text[:13].replace("2A", "19", 1).replace("2B", "18", 1)
    return number.isdigit() and number[0] in "12" and 97 - int(number) % 97 == int(text[13:])


def is_spanish_dni(text: str) -> bool:
    """DNI and NIE: the letter is given by the number modulo 23."""
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(text[:-1].translate(str.maketrans("XYZ", "012"))) % 23] == text[-1]


def is_italian_code(text: str) -> bool:
    """Codice fiscale: characters at odd places count by a table, the others by their order (DM 23 December 1976)."""
    odd = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
    orders = [int(c) if c.isdigit() else ord(c) - 65 for c in text[:15]]
    return chr(65 + (sum(odd[n] for n in orders[::2]) + sum(orders[1::2])) % 26) == text[15]


def is_polish_pesel(digits: str) -> bool:
    """PESEL: a date of birth, whose month also tells the century, and a weighted sum."""
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)
    is_date = 1 <= int(digits[2:4]) % 20 <= 12 and 1 <= int(digits[4:6]) <= 31
    return is_date and sum(w * int(d) for w, d in zip(weights, digits, strict=True)) % 10 == 0


def is_brazilian_cpf(digits: str) -> bool:
    """CPF: two check digits, each of a weighted sum modulo 11."""
    if len({*digits}) == 1:
        return False
    for place in (9, 10):
        total = sum((place + 1 - n) * int(digits[n]) for n in range(place))
        if total * 10 % 11 % 10 != int(digits[place]):
            return False
    return True


def is_swiss_ahv(digits: str) -> bool:
    """AHV number: a number of GS1 (EAN-13) of country 756."""
    total = sum(int(digit) * (1, 3)[n % 2] for n, digit in enumerate(digits))
    return digits.startswith("756") and total % 10 == 0


def is_belgian_register_number(digits: str) -> bool:
    """Rijksregisternummer: a date of birth, and 97 less the number modulo 97, with a 2 before it from 2000 on."""
    if not (int(digits[2:4]) <= 12 and int(digits[4:6]) <= 31):
        return False
    return any(97 - int(century + digits[:9]) % 97 == int(digits[9:]) for century in ("", "2"))


def is_swedish_number(digits: str) -> bool:
    """Personnummer of ten digits: a date of birth (of a coordination number, 60 days later), and Luhn's check digit."""
    return 1 <= int(digits[2:4]) <= 12 and 1 <= int(digits[4:6]) % 60 <= 31 and is_luhn(digits)


def is_nhs_number(digits: str) -> bool:
    """Number of the National Health Service: a weighted sum modulo 11."""
    total = sum((10 - n) * int(digit) for n, digit in enumerate(digits[:9]))
    return (11 - total % 11) % 11 == int(digits[9])


def is_chinese_id(text: str) -> bool:
    """Resident identity number (GB 11643): a date of birth, and ISO 7064, modulo 11, 2."""
    if not (text[6:8] in ("18", "19", "20") and 1 <= int(text[10:12]) <= 12 and 1 <= int(text[12:14]) <= 31):
        return False
    return "10X98765432"[sum(int(digit) * 2 ** (17 - n) for n, digit in enumerate(text[:17])) % 11] == text[17]


#: National numbers: a pattern of the candidate, and whether it is one. Where the check says little, separators are asked for.
NATIONAL: Final[tuple[tuple[str, Callable[[str], bool]], ...]] = (
    (r"[0-9]{3}-[0-9]{2}-[0-9]{4}", is_us_ssn),
    (r"[0-9]{11}|[0-9]{2} [0-9]{3} [0-9]{3} [0-9]{3}", is_german_tax_id),
    (r"[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}", is_french_nir),
    (r"[0-9]{8}-?[A-Z]|[XYZ]-?[0-9]{7}-?[A-Z]", is_spanish_dni),
    (r"[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]", is_italian_code),
    (r"[0-9]{11}", is_polish_pesel),
    (r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}|[0-9]{11}", is_brazilian_cpf),
    (r"756\.?[0-9]{4}\.?[0-9]{4}\.?[0-9]{2}", is_swiss_ahv),
    (r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}|[0-9]{11}", is_belgian_register_number),
    (r"[0-9]{6}[-+][0-9]{4}", is_swedish_number),
    (r"[0-9]{3} [0-9]{3} [0-9]{4}", is_nhs_number),
    (r"[0-9]{17}[0-9X]", is_chinese_id),
)
