"""The nonce pool."""

import threading

import pytest

from acmectl.acme.nonce import NoncePool


def test_the_newest_nonce_is_given_first():
    pool = NoncePool()
    for nonce in ("a", "b", "c"):
        pool.add(nonce)
    assert [pool.take(), pool.take(), pool.take(), pool.take()] == ["c", "b", "a", None]


def test_a_full_pool_forgets_the_oldest():
    pool = NoncePool(limit=2)
    for nonce in ("a", "b", "c"):
        pool.add(nonce)
    assert (len(pool), pool.take(), pool.take()) == (2, "c", "b")


@pytest.mark.parametrize("nonce", [None, "", "a b", "a\r\nX: y", "a=", "x" * 513, "\u00e9"])
def test_what_is_no_base64url_never_enters(nonce):
    pool = NoncePool()
    pool.add(nonce)
    assert pool.take() is None


def test_a_nonce_that_came_twice_is_kept_once():
    pool = NoncePool()
    pool.add("a")
    pool.add("a")
    assert (pool.take(), pool.take()) == ("a", None)


def test_no_nonce_is_given_out_twice_to_many_threads():
    pool = NoncePool(limit=4000)
    for number in range(4000):
        pool.add(str(number))
    taken: list[list[str]] = [[] for _ in range(8)]

    def drain(into: list[str]) -> None:
        while (nonce := pool.take()) is not None:
            into.append(nonce)

    threads = [threading.Thread(target=drain, args=(part,)) for part in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [nonce for part in taken for nonce in part]
    assert sorted(everything, key=int) == [str(number) for number in range(4000)]
