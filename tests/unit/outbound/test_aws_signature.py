"""The example of the AWS General Reference: GET ListUsers on IAM, signed with its example keys."""

import pytest

from workflow_scheduler.core.errors import NotConnected, Rejected, RetryAfter
from workflow_scheduler.core.model.connection import Aws
from workflow_scheduler.core.ports.resources import HttpReply
from workflow_scheduler.core.time.clock import from_iso
from workflow_scheduler.outbound.aws import EMPTY_SHA256, Call, ask, caller, endpoint, signed

KEYS = Aws(
    region="us-east-1",
    access_key_id="AKIDEXAMPLE",
    secret_access_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
)
CALL = Call(
    "iam", "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08", method="GET",
    headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
)  # fmt: skip


def test_the_documented_example_has_the_documented_signature():
    headers = signed(KEYS, CALL, from_iso("2015-08-30T12:36:00Z"))
    assert headers["x-amz-date"] == "20150830T123600Z"
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


@pytest.mark.parametrize(
    ("path", "headers", "signature"),
    [
        ("test.txt", {"range": "bytes=0-9"}, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        ("?max-keys=2&prefix=J", {}, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_the_documented_examples_of_a_bucket_have_the_documented_signatures(path, headers, signature):
    """Amazon S3 API Reference, "Signature Calculations for the Authorization Header"."""
    keys = Aws(
        region="us-east-1",
        access_key_id="AKIAIOSFODNN7EXAMPLE",
        secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    )
    headers = {**headers, "x-amz-content-sha256": EMPTY_SHA256}
    call = Call("s3", f"https://examplebucket.s3.amazonaws.com/{path}", method="GET", headers=headers)
    assert signed(keys, call, from_iso("2013-05-24T00:00:00Z"))["authorization"].endswith(signature)


def test_the_address_is_that_of_the_region_or_the_one_that_is_given():
    assert endpoint(KEYS, "sqs") == "https://sqs.us-east-1.amazonaws.com/"
    other = KEYS.model_copy(update={"endpoint": "https://cloud.example.test"})
    assert endpoint(other, "sqs") == "https://cloud.example.test/"


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (400, b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"none"}', Rejected, "QueueDoesNotExist"),
        (403, b'{"__type":"InvalidClientTokenId","message":"unknown key"}', Rejected, "InvalidClientTokenId"),
        (400, b'{"__type":"ThrottlingException","message":"slow down"}', RetryAfter, "wait"),
        (429, b"", RetryAfter, "wait"),
        (503, b"busy", NotConnected, "503"),
        (403, b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>", Rejected,
         "AccessDenied: no"),
    ],
)  # fmt: skip
async def test_errors_are_told_in_the_words_of_the_service(status, body, error, words):
    async def send(request):
        return HttpReply(status=status, headers={}, body=body, url=request.url)

    with pytest.raises(error, match=words):
        await ask(send, KEYS, CALL, 0)


async def test_the_keys_say_whom_they_belong_to():
    async def send(request):
        assert request.body == b"Action=GetCallerIdentity&Version=2011-06-15"
        told = b"<GetCallerIdentityResult><Arn>arn:aws:iam::1:user/ann</Arn></GetCallerIdentityResult>"
        return HttpReply(status=200, headers={}, body=told, url=request.url)

    assert await caller(send, KEYS, 0) == "arn:aws:iam::1:user/ann"
