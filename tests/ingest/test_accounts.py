import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.errors import StoreError
from pypes.ingest.accounts import Account, Kind, decode, decode_some, details_of, encode, encode_some, report
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import Details, Fate, Outcome
from pypes.ingest.store.rows import checksum, pack, unpack

KINDS = st.builds(
    Kind,
    st.text(max_size=3),
    st.integers(0, 9),
    st.integers(1, 3),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 3),
    st.lists(st.text(max_size=3), max_size=2).map(tuple),
    st.text(max_size=3),
    st.lists(st.tuples(st.text(max_size=3), st.integers(1, 9)), max_size=2).map(tuple),
    st.text(max_size=3),
)
ACCOUNTS = st.builds(Account, KINDS, st.integers(-1, 10**9), st.integers(0, 10**9), st.none() | st.text(max_size=5))


@given(st.lists(ACCOUNTS, max_size=8))
def test_accounts_come_back_as_they_were(accounts: list[Account]) -> None:
    text, has_failed = encode(accounts)
    assert decode(text) == accounts
    assert has_failed == any(account.kind.failed for account in accounts)


@given(st.lists(st.none() | ACCOUNTS, max_size=8))
def test_accounts_of_some_come_back_by_position(accounts: list[Account | None]) -> None:
    found = {position: account for position, account in enumerate(accounts) if account is not None}
    assert decode_some(encode_some(accounts)) == found


@pytest.mark.parametrize(
    ("removed", "poster", "form"),
    [
        ((), "", ""),
        ((("index", 2),), "", ',[["index",2]]'),
        ((), "admin", ',[],"admin"'),
        ((("index", 2),), "admin", ',[["index",2]],"admin"'),
    ],
)
def test_accounts_are_as_earlier_releases_wrote_them(removed: tuple[tuple[str, int], ...], poster: str, form: str) -> None:
    account = Account(Kind("g", 2, 1, 1, 0, 0, ("index",), "", removed, poster), 3, 4, "a")
    stored = f'[[["g",2,1,1,0,0,["index"],""{form}]],0,[3,4],["a"]]'
    assert encode([account]) == (stored, False)
    assert decode(stored) == [account]


def test_what_is_no_account_is_refused() -> None:
    for text in ("[]", "[1, 2, 3, 4]", '{"a": 1}', "[[], 0, [1, 2], 0]", "nonsense"):
        with pytest.raises(ValueError):
            decode(text)


@given(st.lists(st.sampled_from(["published", "dropped", "failed"]), min_size=1, max_size=20), st.integers(1, 5))
def test_every_document_is_reported_once_whatever_the_page(outcomes: list[str], limit: int) -> None:
    fates = tuple(Fate(outcome) for outcome in sorted(set(outcomes)))
    runs = tuple(part for outcome in outcomes for part in (1, [f.outcome for f in fates].index(outcome)))
    published, dropped, failed = (outcomes.count(outcome) for outcome in ("published", "dropped", "failed"))
    outcome = Outcome(published, dropped, failed, details=Details(fates, runs))
    details = details_of(len(outcomes), outcome)
    account = Account(Kind("g", 1, len(outcomes), published, dropped, failed, (), ""), 0, 0, None)
    found: list[str] = []
    while page := report(account, details, limit, len(found) - 1):
        assert [each.index for each in page] == [*range(len(found), len(found) + len(page))]
        found += [each.outcome for each in page]
    assert found == outcomes


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5), st.data())
def test_no_changed_byte_of_a_row_goes_unseen(bodies: list[bytes], data: st.DataObject) -> None:
    entries: list[tuple[Header, bytes | Spooled]] = [(Header("g", length=len(body)), body) for body in bodies]
    entries.append((Header("g", length=9), Spooled("/somewhere/file", 9)))
    row = pack(entries)
    found = unpack(row, checksum(row))
    assert [entry.body for entry in found] == [*bodies, b""]
    assert (found[-1].spool, found[-1].size) == ("file", 9)
    position = data.draw(st.integers(0, len(row) - 1))
    changed = bytearray(row)
    changed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(StoreError):
        unpack(bytes(changed), checksum(row))
