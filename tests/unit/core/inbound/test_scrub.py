"""What is taken out of an event before it is kept beside the code."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.inbound.scrub import MASK, Scrubbed, sensitive, without_tokens

CANARIES = [
    "ghp_" + "a1B2" * 9, "github_pat_" + "a1_B2" * 6, "glpat-" + "x" * 20, "xoxb-123456789012-abcdefABCDEF",
    "xapp-1-A0123456789-abcdef", "https://hooks.slack.com/services/T000/B000/XXXXXXXX", "sk_live_" + "4eC39HqLyjWD",
    "whsec_" + "MfKQ9r8GKYqr", "AKIAIOSFODNN7EXAMPLE", "AIza" + "S" * 35, "ya29.a0AfH6SMBx", "wfs_abcdefgh1234",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----", "sk-" + "abcDEF123" * 4,
]  # fmt: skip


@pytest.mark.parametrize("canary", CANARIES)
def test_tokens_are_taken_out_wherever_they_stand(canary):
    value = {"text": f"please use {canary}, thanks", "list": [{"deep": canary}]}
    found = Scrubbed(value)
    assert canary not in msgspec.json.encode(found.value).decode()
    assert found.value["text"].startswith("please use ***")
    assert found.paths == ["text", "list.0.deep"]


@pytest.mark.parametrize(
    "name",
    ["Authorization", "x-hub-signature-256", "X-Api-Key", "api_key", "password", "clientSecret", "access_token",
     "refreshToken", "Set-Cookie", "private_key", "pwd", "x-amz-security-token"],
)  # fmt: skip
def test_fields_that_are_named_like_secrets_lose_their_text(name):
    assert sensitive(name)
    assert Scrubbed({name: "abc", "n": [{name: ["x", 7, None]}]}).value == {name: MASK, "n": [{name: [MASK, 7, None]}]}


def test_what_is_no_secret_stays():
    value = {"ref": "refs/heads/main", "key": "orders/1.csv", "code": "E42", "amount": 12.5, "ok": True, "none": None,
             "url": "https://example.test/a?b=c", "author": {"name": "Ada"}, "empty": {"token": ""}}  # fmt: skip
    found = Scrubbed(value)
    assert found.value == value
    assert found.paths == []


def test_passwords_in_addresses_and_bearers_go_and_the_rest_stays():
    assert without_tokens("postgres://ada:s3cret@db/shop") == f"postgres://{MASK}@db/shop"
    assert without_tokens("Authorization: Bearer abcdef12345") == f"Authorization: Bearer {MASK}"


def test_paths_that_are_named_go_as_well():
    found = Scrubbed({"data": {"customer": {"email": "a@b.test", "age": 7}}}, ["data.customer"])
    assert found.value == {"data": {"customer": MASK}}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=20,
    )
)
def test_any_json_keeps_its_shape_and_is_clean_the_second_time(value):
    once = Scrubbed(value).value
    assert Scrubbed(once).value == once
    assert type(once) is type(value)
