"""What every trigger type must do.

Subclass TriggerTypeConformance with a fixture `trigger_type` that gives the module.
"""

from __future__ import annotations

import json
import random
import re
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from workflow_scheduler.core.errors import (
    BadRequest,
    SignatureInvalid,
    TooLarge,
    UnsupportedMedia,
    unknown_field,
)
from workflow_scheduler.core.match.verdict import Verdict
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.registry import SHAPES, Config, Example, PushRequest
from workflow_scheduler.testing.hearing import event_of, plain_event, request_of

_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
_MUTATIONS = 500
_FIRST_LINE_LEAST = 20
_KEYS = (
    "type",
    "status",
    "workflow_name",
    "ref",
    "commits",
    "repository",
    "full_name",
    "action",
    "author",
    "added",
    "x",
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["push", "main", "acme/billing", "SUCCEEDED", "sales-etl", "refs/heads/main"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=15,
)
HOSTILE_BODIES: dict[str, bytes] = {
    "empty": b"",
    "NUL": b"\x00",
    "NaN": b"NaN",
    "infinity": b'{"a":Infinity}',
    "not UTF-8": b'{"a":"\xff\xfe"}',
    "lone surrogate": b'{"a":"\\ud800"}',
    "surrogate bytes": b'"\xed\xa0\x80"',
    "NUL in text": b'{"a":"\\u0000"}',
    "10,000 deep": b"[" * 10_000,
    "deep objects": b'{"a":' * 5_000,
    "5,000 digits": b'{"a":' + b"9" * 5_000 + b"}",
    "huge exponent": b'{"a":1e999}',
    "cut off": b'{"a":',
    "two values": b"{} {}",
    "equal keys": b'{"a":1,"a":{"a":2}}',
    "gzip": b"\x1f\x8b\x08\x00" + b"\x00" * 20,
    "wrong kinds": b'{"repository":[],"commits":7,"ref":{},"action":[]}',
    "array": b"[1,2,3]",
    "text": b'"text"',
    "number": b"7",
    "null": b"null",
    "form": b"payload=%7B%7D&a=%zz",
    "50,000 keys": b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(50_000)) + b"}",
    "BOM": b"\xef\xbb\xbf{}",
    "multipart": b"--x\r\n\r\n--x",
    "spaces": b" " * 10_000,
}
CONTENT_TYPES = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "",
    ";;;=",
    "application/json; charset=utf-16",
    "multipart/form-data; boundary=",
    "text/plain; charset=\x00",
    "image/png",
    "é",
)


class TriggerTypeConformance:
    """The suite."""

    def test_it_says_what_it_is(self, trigger_type: Any) -> None:
        """Name, title, icon, shape, version and catalogue text are there."""
        assert _NAME.match(trigger_type.name)
        assert trigger_type.title
        assert trigger_type.icon
        assert trigger_type.shape in SHAPES
        assert re.match(r"^\d+\.\d+(\.\d+)?$", trigger_type.since)
        assert isinstance(trigger_type.extras, str)
        first = (trigger_type.__doc__ or "").strip().split("\n")[0]
        assert len(first) > _FIRST_LINE_LEAST, "the first line of the docstring is the catalogue text"
        assert first[0].isupper()

    def test_its_configuration_is_closed_and_described(self, trigger_type: Any) -> None:
        """Unknown keys are refused; every field of the schema has a title and a description."""
        config = trigger_type.Config
        assert issubclass(config, Config)
        assert config.model_config["extra"] == "forbid"
        assert config.model_config["frozen"]
        assert config.__doc__
        schema = config.model_json_schema()
        json.dumps(schema)
        assert schema["additionalProperties"] is False
        for name, field in schema.get("properties", {}).items():
            assert field.get("title") or "$ref" in field, name
            assert field.get("description"), name

    def test_its_examples_are_valid_and_match(self, trigger_type: Any) -> None:
        """Every example's configuration validates, survives storage, and its event matches."""
        assert trigger_type.examples
        for example in trigger_type.examples:
            assert isinstance(example, Example)
            config = _config(trigger_type, example)
            stored = json.loads(json.dumps(config.model_dump(mode="json", by_alias=True, exclude_unset=True)))
            assert trigger_type.Config.model_validate(stored) == config
            view = EventView(event_of(trigger_type, config, example.event))
            verdict = trigger_type.matches(config, view)
            assert verdict.result is True, (example.title, verdict)
            _storable(verdict)

    def test_an_unknown_key_is_refused_with_a_suggestion(self, trigger_type: Any) -> None:
        """A misspelt field is an error that names the field."""
        example = trigger_type.examples[0]
        known = list(trigger_type.Config.model_fields)
        misspelt = known[0][:-1] + "qx"
        normalize = getattr(trigger_type, "normalize", dict)
        with pytest.raises(ValidationError) as caught:
            trigger_type.Config.model_validate({**normalize(dict(example.config)), misspelt: 1})
        assert any(error["type"] == "extra_forbidden" for error in caught.value.errors())
        assert "unknown field" in unknown_field(misspelt, known)

    def test_its_keys_find_its_events(self, trigger_type: Any) -> None:
        """Keys are texts, always the same; an event that matches is found under one of them."""
        for example in trigger_type.examples:
            config = _config(trigger_type, example)
            keys, subs = trigger_type.index_keys(config), _sub_keys(trigger_type, config)
            assert keys == trigger_type.index_keys(config)
            assert all(isinstance(key, str) and key for key in keys)
            assert subs
            assert all(isinstance(key, str) for key in subs)
            event = event_of(trigger_type, config, example.event)
            if event.index_keys:
                assert set(keys) & set(event.index_keys)
                assert set(subs) & set(event.sub_keys)

    @settings(
        max_examples=150,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(
        data=JSON, attributes=JSON, kind=st.sampled_from(["push", "github.push", "github.ping", "workflow_failed", "x"])
    )
    def test_it_judges_any_json(self, trigger_type: Any, data: Any, attributes: Any, kind: str) -> None:
        """No event makes `matches` fail; the verdict can be stored."""
        event = plain_event(
            trigger_type.name, type=kind, data=msgspec.json.encode(data), attributes=msgspec.json.encode(attributes)
        )
        for example in trigger_type.examples:
            verdict = trigger_type.matches(_config(trigger_type, example), EventView(event))
            assert isinstance(verdict, Verdict)
            assert verdict.result in (True, False, None)
            _storable(verdict)

    def test_a_request_without_a_valid_signature_is_refused(self, trigger_type: Any) -> None:
        """Push types: nothing, a wrong secret, a missing secret and 500 mutations of a signature are refused."""
        if trigger_type.shape != "push":
            return
        signed = [example for example in trigger_type.examples if _is_signed(trigger_type, example)]
        assert signed, "a push type has an example with a signature"
        chance = random.Random(7)  # noqa: S311 - reproducible mutations
        for example in signed:
            config = _config(trigger_type, example)
            request = request_of(example.event)
            good = _signed(trigger_type, config, request)
            trigger_type.verify(config, good, "s3cret")
            for secret in (None, "", "S3cret"):
                with pytest.raises(SignatureInvalid):
                    trigger_type.verify(config, good, secret)
            for _ in range(_MUTATIONS):
                with pytest.raises(SignatureInvalid):
                    trigger_type.verify(config, _mutated(good, request, chance), "s3cret")

    @pytest.mark.parametrize("body", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES)
    def test_hostile_bodies_are_read_or_refused(self, trigger_type: Any, body: bytes) -> None:
        """Push types: whatever the body, the answer is events or a clear refusal."""
        if trigger_type.shape != "push":
            return
        for example in trigger_type.examples:
            config = _config(trigger_type, example)
            wanted = request_of(example.event)
            for kind in CONTENT_TYPES:
                request = msgspec.structs.replace(wanted, body=body, headers={**wanted.headers, "content-type": kind})
                try:
                    heard = trigger_type.parse(config, request)
                except (BadRequest, TooLarge, UnsupportedMedia):
                    continue
                for one in heard:
                    msgspec.json.encode(msgspec.json.decode(one.data))
                    json.loads(one.attributes)
                    trigger_type.matches(
                        config,
                        EventView(
                            plain_event(trigger_type.name, type=one.type, data=one.data, attributes=one.attributes)
                        ),
                    )


def _config(module: Any, example: Example) -> BaseModel:
    config: BaseModel = module.Config.model_validate(dict(example.config))
    return config


def _sub_keys(module: Any, config: Any) -> tuple[str, ...]:
    found: tuple[str, ...] = module.sub_keys(config) if hasattr(module, "sub_keys") else ("",)
    return found


def _storable(verdict: Verdict) -> None:
    msgspec.json.encode(verdict.predicates)


def _is_signed(module: Any, example: Example) -> bool:
    return module.secret_name(_config(module, example)) is not None


def _signed(module: Any, config: Any, request: PushRequest) -> PushRequest:
    """Return the request with a valid signature; types whose signature is not an HMAC bring `sign` along."""
    headers = {**request.headers, **module.sign(config, request, "s3cret")}
    return msgspec.structs.replace(request, headers=headers)


def _mutated(good: PushRequest, plain: PushRequest, chance: random.Random) -> PushRequest:
    """Return the request with one byte of the body or of a signature header changed, added or dropped."""
    names = [name for name in good.headers if name not in plain.headers or good.headers[name] != plain.headers[name]]
    where = chance.choice(["body", *names])
    text = good.body if where == "body" else good.headers[where].encode()
    at = chance.randrange(len(text))
    changed = chance.choice(
        [
            text[:at] + bytes([text[at] ^ (1 << chance.randrange(7))]) + text[at + 1 :],
            text[:at] + text[at + 1 :],
            text[:at] + bytes([chance.randrange(1, 127)]) + text[at:],
            text[:at],
        ]
    )
    if changed == text:
        changed = text + b"x"
    if where == "body":
        return msgspec.structs.replace(good, body=changed)
    return msgspec.structs.replace(good, headers={**good.headers, where: changed.decode("latin-1")})
