"""Signatures of webhooks, and tokens of unsubscribe links."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.signatures import UnsubscribeClaim, make_token, read_secret, read_token, sign_webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the example of Standard Webhooks
KEY, OTHER = read_secret(SECRET), b"x" * 32
CLAIM = UnsubscribeClaim("5f0c", "ann", "email")


def test_a_signature_is_that_of_standard_webhooks() -> None:
    """The vector is from the package standardwebhooks 1.1.0."""
    headers = sign_webhook([KEY], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_while_keys_are_exchanged_both_sign() -> None:
    first, second = sign_webhook([KEY, OTHER], "1", 2, b"3")["webhook-signature"].split(" ")
    assert first == sign_webhook([KEY], "1", 2, b"3")["webhook-signature"]
    assert second == sign_webhook([OTHER], "1", 2, b"3")["webhook-signature"]


@pytest.mark.parametrize(("secret", "why"), [("whsec_!", "base64"), ("c2hvcnQ=", "24 bytes"), ("ä", "base64")])
def test_a_weak_secret_is_refused_and_not_quoted(secret: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        read_secret(secret)
    assert secret not in str(caught.value)


def test_a_token_says_who_unsubscribes() -> None:
    """Under any key that is in use."""
    token = make_token(KEY, CLAIM)
    assert read_token([OTHER, KEY], token) == CLAIM
    assert read_token([OTHER], token) is None
    assert read_token([], token) is None
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


@given(st.text(max_size=60) | st.just("x" * 5_000))
def test_no_other_text_is_a_token(text: str) -> None:
    assert read_token([KEY], text) is None


@given(st.integers(min_value=0, max_value=200), st.sampled_from("AB_.é"))
def test_a_token_that_was_changed_claims_nothing_else(place: int, replacement: str) -> None:
    token = make_token(KEY, CLAIM)
    place %= len(token)
    changed = token[:place] + replacement + token[place + 1 :]
    assert read_token([KEY], changed) in {None, CLAIM}


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_customer_has_a_token(customer: str, channel: str) -> None:
    """Up to the length of an id."""
    claim = UnsubscribeClaim("5f0c", customer, channel[:32])
    try:
        token = make_token(KEY, claim)
    except UnicodeEncodeError:  # a lone surrogate, which no event can carry
        return
    assert read_token([KEY], token) == claim
