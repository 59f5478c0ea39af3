"""How known senders sign their webhooks: one entry of a table each.

=================  ================================================================================================
`github`           https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
`slack`            https://docs.slack.dev/authentication/verifying-requests-from-slack
`stripe`           https://docs.stripe.com/webhooks#verify-manually
`standard-webhooks`  https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
`pagerduty`        https://developer.pagerduty.com/docs/verifying-webhook-signatures
`shopify`          https://shopify.dev/docs/apps/build/webhooks/verify-deliveries
`gitlab`           https://docs.gitlab.com/user/project/integrations/webhooks/ (its signing tokens: `standard-webhooks`)
`jwt`              https://datatracker.ietf.org/doc/html/rfc7519, sent as RFC 6750 says
=================  ================================================================================================

`hmac-sha256`, `hmac-sha1`, `hmac-sha512`, `api-key` and `basic` are the same with the details left to the user.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from workflow_scheduler.core.inbound.signature import Digest, Encoding

Scheme = Literal[
    "hmac-sha256", "hmac-sha1", "hmac-sha512", "standard-webhooks", "github", "slack", "stripe", "pagerduty", "shopify",
    "gitlab", "api-key", "basic", "jwt", "none",
]  # fmt: skip
Kind = Literal["hmac", "key", "basic", "jwt", "none"]
Layout = Literal["one", "spaces", "commas", "pairs"]
"""One signature; several, divided by spaces or commas; or `name=value` pairs, of which `t` is the time."""


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """What a sender does. Header names are lower-case.

    `signed` is a template of `{id}`, `{timestamp}` and `{body}`. `timestamp` is the header with the time in seconds
    since 1970, or `t` for the pair of that name. `open` names the settings that users may change. `key_headers` and
    `key_path` say which header, or which field of the body, identifies a delivery.
    """

    kind: Kind
    title: str
    header: str = ""
    digest: Digest = "sha256"
    encoding: Encoding = "hex"
    prefix: str = ""
    layout: Layout = "one"
    timestamp: str = ""
    signed: str = "{body}"
    id_header: str = ""
    key_headers: tuple[str, ...] = ()
    key_path: tuple[str, ...] = ()
    open: tuple[str, ...] = ("header",)


_HMAC_OPEN: Final = ("header", "prefix", "encoding", "timestamp_header", "signed", "tolerance")
PRESETS: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        "none": Preset(kind="none", title="Nothing is checked", open=()),
        "github": Preset(
            kind="hmac", title="GitHub", header="x-hub-signature-256", prefix="sha256=",
            key_headers=("x-github-delivery",),
        ),
        "slack": Preset(
            kind="hmac", title="Slack", header="x-slack-signature", prefix="v0=",
            timestamp="x-slack-request-timestamp", signed="v0:{timestamp}:{body}", key_path=("event_id",),
            open=("header", "tolerance"),
        ),
        "stripe": Preset(
            kind="hmac", title="Stripe", header="stripe-signature", prefix="v1=", layout="pairs", timestamp="t",
            signed="{timestamp}.{body}", key_path=("id",), open=("header", "tolerance"),
        ),
        "standard-webhooks": Preset(
            kind="hmac", title="Standard Webhooks", header="webhook-signature", prefix="v1,", encoding="base64",
            layout="spaces", timestamp="webhook-timestamp", signed="{id}.{timestamp}.{body}", id_header="webhook-id",
            open=("signed", "tolerance"),
        ),
        "pagerduty": Preset(
            kind="hmac", title="PagerDuty", header="x-pagerduty-signature", prefix="v1=", layout="commas",
            key_path=("event", "id"),
        ),
        "shopify": Preset(
            kind="hmac", title="Shopify", header="x-shopify-hmac-sha256", encoding="base64",
            key_headers=("x-shopify-webhook-id",),
        ),
        "gitlab": Preset(
            kind="key", title="GitLab", header="x-gitlab-token",
            key_headers=("idempotency-key", "x-gitlab-event-uuid"),
        ),
        "hmac-sha256": Preset(kind="hmac", title="HMAC-SHA256", open=_HMAC_OPEN),
        "hmac-sha1": Preset(kind="hmac", title="HMAC-SHA1", digest="sha1", open=_HMAC_OPEN),
        "hmac-sha512": Preset(kind="hmac", title="HMAC-SHA512", digest="sha512", open=_HMAC_OPEN),
        "api-key": Preset(kind="key", title="API key", header="x-api-key", open=("header", "prefix")),
        "basic": Preset(kind="basic", title="User and password", header="authorization"),
        "jwt": Preset(
            kind="jwt", title="JWT", header="authorization", prefix="Bearer ",
            open=("header", "prefix", "issuer", "audience", "tolerance"),
        ),
    }
)  # fmt: skip
PROVIDERS: Final = tuple(name for name, one in PRESETS.items() if one.key_headers or one.key_path)
"""The schemes that name a sender; `/webhooks/{provider}/{id}` takes them beside the trigger types."""
