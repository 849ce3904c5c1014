"""Proofs that both ends of a link know the secret."""

from __future__ import annotations

from pypes.runtime.fleet.secret import ANSWERER, CALLER, Secrets

OLD, NEW, OTHER = "old-secret-0123456789", "new-secret-0123456789", "foreign-0123456789"


def test_the_first_secret_that_both_know_is_used() -> None:
    caller, answerer = Secrets([NEW, OLD]), Secrets([OLD])
    name = answerer.find(caller.names)
    assert name == Secrets([OLD]).names[0]
    assert Secrets([OTHER]).find(caller.names) is None


def test_a_proof_is_of_one_end_one_link_and_one_secret() -> None:
    known = Secrets([OLD, NEW])
    [old, new] = known.names
    proof = known.proof(old, ANSWERER, ("1", "2"))
    assert known.is_proven(proof, old, ANSWERER, ("1", "2"))
    assert not known.is_proven(proof, old, CALLER, ("1", "2"))
    assert not known.is_proven(proof, old, ANSWERER, ("2", "1"))
    assert not known.is_proven(proof, new, ANSWERER, ("1", "2"))
    assert not known.is_proven(proof, "unknown", ANSWERER, ("1", "2"))
    assert not Secrets([OTHER]).is_proven(proof, old, ANSWERER, ("1", "2"))


def test_names_do_not_tell_the_secret() -> None:
    assert OLD not in "".join(Secrets([OLD]).names)
