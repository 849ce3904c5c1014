from pypes.runtime.generations.backoff import HEALTHY_S, LONGEST_S, Backoff


def test_the_first_restart_is_not_delayed_and_the_others_ever_more() -> None:
    backoff = Backoff()
    delays = [backoff.delay_s(0.01) for _ in range(12)]
    assert delays[:4] == [0.0, 0.1, 0.2, 0.4]
    assert delays[-1] == LONGEST_S


def test_a_long_life_is_forgiven() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.delay_s(0.0)
    assert backoff.delay_s(HEALTHY_S) == 0.0


def test_a_death_that_is_explained_does_not_count() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.delay_s(0.0)
    backoff.forgive()
    assert [backoff.delay_s(0.0) for _ in range(2)] == [0.0, 0.1]
