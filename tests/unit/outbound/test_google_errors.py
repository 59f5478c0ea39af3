"""What Google's errors stand for, and the tokens of clients (AIP-193)."""

import json
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwk, jwt

from workflow_scheduler.core.errors import NotConnected, Rejected, RetryAfter
from workflow_scheduler.core.model.connection import GOOGLE_TOKENS, Google
from workflow_scheduler.core.ports.resources import HttpReply
from workflow_scheduler.outbound.google import Client

KEYS = Google(client_id="us", client_secret="ours", refresh_token="1//x")


def client(answers, kept=None, fields=KEYS):
    sent = []

    async def send(request):
        sent.append(request)
        status, body = answers[min(len(sent), len(answers)) - 1]
        return HttpReply(status=status, headers={"retry-after": "7"}, body=body, url=request.url)

    made = Client(send, fields, "scope", {} if kept is None else kept, lambda: 1_000_000)
    made.sent = sent
    return made


TOKEN = (200, b'{"access_token":"abc","expires_in":3599}')


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (403, b'{"error":{"message":"no","errors":[{"reason":"rateLimitExceeded"}]}}', RetryAfter, "wait"),
        (429, b'{"error":{"status":"RESOURCE_EXHAUSTED","message":"slow down"}}', RetryAfter, "slow down"),
        (403, b'{"error":{"status":"PERMISSION_DENIED","message":"no right"}}', Rejected, r"\(403\): no right"),
        (404, b"nothing", Rejected, "404"),
        (503, b"", NotConnected, "503"),
    ],
)
async def test_errors_are_told_in_the_words_of_the_service(status, body, error, words):
    with pytest.raises(error, match=words) as raised:
        await client([TOKEN, (status, body)]).ask("GET", "https://pubsub.googleapis.com/v1/x")
    assert getattr(raised.value, "http_status", 0) == (status if error is Rejected else 0)
    assert raised.value.retry_after_seconds == (7 if error is RetryAfter else None)


async def test_a_token_that_was_taken_back_is_replaced_once():
    asked = client([TOKEN, (401, b"{}"), TOKEN, (200, b"good")])
    assert await asked.ask("GET", "https://pubsub.googleapis.com/v1/x") == b"good"
    refused = client([TOKEN, (401, b"{}"), TOKEN, (401, b'{"error":{"message":"never"}}')])
    with pytest.raises(Rejected, match="never"):
        await refused.ask("GET", "https://pubsub.googleapis.com/v1/x")
    assert len(refused.sent) == 4


async def test_a_token_is_kept_until_shortly_before_it_ends():
    kept = {}
    for body in (b"one", b"two"):
        answers = [TOKEN, (200, body)] if body == b"one" else [(200, body)]
        assert await client(answers, kept).ask("GET", "https://pubsub.googleapis.com/v1/x") == body


@pytest.mark.parametrize(
    "changed", [Google(endpoint="http://127.0.0.1:9"), Google(client_id="us", client_secret="ours", refresh_token="2")]
)
async def test_a_token_is_sent_only_with_the_credentials_that_gave_it(changed):
    kept = {}
    await client([TOKEN, (200, b"one")], kept).ask("GET", "https://pubsub.googleapis.com/v1/x")
    fresh = b'{"access_token":"def","expires_in":3599}'
    other = client([(200, fresh), (200, b"two")], kept, changed)
    await other.ask("GET", "http://127.0.0.1:9/v1/x")
    sent = [request.headers.get("authorization") for request in other.sent]
    assert sent == ([None] if changed.endpoint else [None, "Bearer def"])


async def test_an_answer_without_a_token_is_no_token():
    with pytest.raises(NotConnected, match="without a token"):
        await client([(200, b"[]")]).ask("GET", "https://pubsub.googleapis.com/v1/x")


def test_addresses_are_those_of_the_services_or_the_one_that_is_given():
    assert client([TOKEN]).address("pubsub") == "https://pubsub.googleapis.com"
    assert Client(None, Google(endpoint="http://127.0.0.1:9/"), "", {}, None).address("storage") == "http://127.0.0.1:9"


@pytest.mark.parametrize("subject", [None, "ann@shop.example"])
async def test_a_service_account_can_act_for_a_person(subject):
    pem = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = pem.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = json.dumps({"client_email": "robot@shop.example", "private_key": text})
    sent = []

    async def send(request):
        sent.append(parse_qs(request.body.decode()) if request.url == GOOGLE_TOKENS else request)
        return HttpReply(status=200, headers={}, body=TOKEN[1], url=request.url)

    await Client(send, Google(service_account=account, subject=subject), "s", {}, lambda: 0).ask(
        "GET", "https://x.test"
    )
    claims = jwt.decode(sent[0]["assertion"][0], jwk.RSAKey.import_key(text), algorithms=["RS256"]).claims
    wanted = {"iss": "robot@shop.example", "scope": "s", "aud": GOOGLE_TOKENS, "iat": 0, "exp": 3600}
    assert claims == (wanted if subject is None else {**wanted, "sub": subject})
