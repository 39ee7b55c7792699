"""Addresses of Redis: one reading for our client and for Celery, and refusals without the password."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils.url import url_to_parts

from worker.hopper import connect
from worker.redis_address import RedisAddress

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("url", "place", "database"),
    [
        ("redis://127.0.0.1", "redis://127.0.0.1:6379", 0),
        ("rediss://user:pw@host:6380/3", "rediss://host:6380", 3),
        ("redis://[::1]:7/2", "redis://[::1]:7", 2),
        ("redis+socket:///run/redis.sock?virtual_host=2", "redis+socket:///run/redis.sock", 2),
        ("sentinel://:pw@a:1,b:2/4?master=m", "sentinel://a:1,b:2", 4),
        ("sentinel://:pw@a:1/4;sentinel://:pw@b/4?master=m", "sentinel://a:1,b:26379", 4),
        ("sentinel://:pw@a:1,sentinel://b:2/4?master=m", "sentinel://a:1,b:2", 4),
    ],
)
def test_every_form_says_where_it_is_and_hides_the_rest(url: str, place: str, database: int) -> None:
    address = RedisAddress.parse(url)
    assert (address.place, address.database) == (place, database)
    assert "pw" not in repr(address)


def test_a_group_of_sentinels_has_two_logins() -> None:
    address = RedisAddress.parse(
        "sentinel://us%3Aer:p%2Fw@a:1,b:2/0?master=calls&sentinel_user=watch&sentinel_password=o%26wn"
    )
    assert (address.username, address.password, address.master) == ("us:er", "p/w", "calls")
    assert address.sentinel_options["credential_provider"].get_credentials() == ("watch", "o&wn")
    assert "o&wn" not in repr(address) + repr(address.celery_transport_options)
    assert RedisAddress.parse("sentinel://a").master == "mymaster"


def test_sentinels_are_spoken_to_as_the_data_is() -> None:
    address = RedisAddress.parse("sentinel://a:1,b:2/0?master=calls&ssl_ca_certs=/ca.pem")
    assert address.tls_options == {"ssl_cert_reqs": "required", "ssl_ca_certs": "/ca.pem"}
    assert address.tls_options.items() <= address.sentinel_options.items()
    assert address.sentinel_options["ssl"] is True
    assert address.tls_files == {"ssl_ca_certs": "/ca.pem"}
    assert "ssl" not in RedisAddress.parse("sentinel://a:1").sentinel_options


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"http://:{SECRET}@host", "must begin with one of redis://"),
        (SECRET, "must begin with one of redis://"),
        (f"redis://:{SECRET}@host:{SECRET}/0", "is not an address"),
        (f"redis://:1/{SECRET}@host/0", "names no host"),
        (f"redis://host:1?{SECRET}@host/0", "has an unknown option"),
        (f"redis://host/{SECRET}", "names a database that is no number"),
        (f"redis://:{SECRET}@/0", "names no host"),
        (f"rediss://:{SECRET}@host?ssl_cert_reqs=maybe", "ssl_cert_reqs must be"),
        (f"sentinel://:{SECRET}@a/0,sentinel://:other@b/0", "different values for password"),
        ("sentinel://a/0,b/1", "different values for database"),
        ("sentinel://a,,b", "names no host"),
    ],
)
def test_what_is_no_address_is_refused_in_a_sentence_without_it(url: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        RedisAddress.parse(url)
    assert SECRET not in str(refused.value)


@given(username=st.text(st.characters(codec="ascii"), max_size=8), password=st.text(min_size=1, max_size=8))
def test_any_login_reaches_both_our_client_and_celery(username: str, password: str) -> None:
    address = RedisAddress("sentinel", (("a", 1), ("b", 2)), database=5, username=username, password=password)
    for url in address.celery_url.split(";"):
        parts = url_to_parts(url)
        assert (parts.username or "", parts.password, parts.path) == (username, password, "5")
    again = RedisAddress.parse(address.celery_url)
    assert (again.username or "", again.password, again.hosts) == (username, password, address.hosts)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://:p%40w@h:7/3", {"host": "h", "port": 7, "db": 3, "password": "p@w"}),
        ("redis+socket://:p%40w@/run/r.sock?virtual_host=2", {"path": "/run/r.sock", "db": 2, "password": "p@w"}),
        ("rediss://h?ssl_ca_certs=/ca.pem", {"ssl_cert_reqs": "required", "ssl_ca_certs": "/ca.pem"}),
        ("sentinel://:p%40w@h/1?master=m", {"db": 1, "password": "p@w"}),
    ],
)
def test_our_client_is_made_from_it(url: str, expected: dict[str, object]) -> None:
    options = connect(url).connection_pool.connection_kwargs
    assert expected.items() <= options.items()


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("redis://u:pw@h:7/3", True),
        ("redis://u:pw@h:7/0", True),
        ("redis://u:pw@h:8/3", False),
        ("redis://u:pw@other:7/3", False),
        ("redis://another:pw@h:7/3", False),
        ("redis+socket://u:pw@/run/r.sock?virtual_host=3", False),
    ],
)
def test_addresses_of_one_server_and_user_are_beside_each_other(other: str, same: bool) -> None:
    assert RedisAddress.parse("redis://u:pw@h:7/3").is_beside(RedisAddress.parse(other)) is same


def test_a_group_of_sentinels_is_the_same_in_any_order_and_another_with_another_primary() -> None:
    group = RedisAddress.parse("sentinel://a:1,b:2/0?master=m")
    assert group.is_beside(RedisAddress.parse("sentinel://b:2,a:1/1?master=m"))
    assert not group.is_beside(RedisAddress.parse("sentinel://a:1,b:2/1?master=other"))
    assert not group.is_beside(RedisAddress.parse("sentinel://a:1,c:2/1?master=m"))
    socket = RedisAddress.parse("redis+socket:///run/r.sock?virtual_host=1")
    assert socket.is_beside(RedisAddress.parse("redis+socket:///run/r.sock"))
    assert not socket.is_beside(RedisAddress.parse("redis+socket:///run/other.sock"))
