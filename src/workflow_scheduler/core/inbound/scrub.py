"""Taking secrets out of what was received, so that it can be kept beside the code.

What a field is called decides first; texts that look like the tokens of well-known services are taken out wherever they
stand. Numbers, booleans and nulls stay.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import re2

MASK = "***"
DEPTH_MAX = 100
_WORDS = (
    "authorization", "cookie", "token", "secret", "signature", "password", "passwd", "passphrase", "apikey",
    "credential", "privatekey", "accesskey", "xamzsecurity", "sessionid", "sessionkey", "clientsecret", "webhookurl",
    "responseurl",
)  # fmt: skip
_EXACT = frozenset({"sig", "auth", "pwd", "otp", "pin", "cvc", "cvv"})
_TOKENS = re2.compile(
    r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|https://hooks\.slack\.com/[A-Za-z0-9/_-]+"
    r"|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{8,}|whsec_[A-Za-z0-9+/=]{8,}|sk-[A-Za-z0-9_-]{20,}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}|ya29\.[0-9A-Za-z_-]{10,}|wfs_[A-Za-z0-9_-]{8,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\s\\-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?"
)
_BEARER = re2.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_USER_INFO = re2.compile(r"(://)[^/\s:@]*:[^/\s@]+@")


class Scrubbed:
    """A value without its secrets; `paths` says where something was taken out."""

    def __init__(self, value: Any, hidden: Collection[str] = ()) -> None:
        """Take the secrets out of `value`; `hidden` are dotted paths whose values are taken out as well."""
        self._hidden = frozenset(hidden)
        self.paths: list[str] = []
        self.value = self._clean(value, "", "", 0)

    def _clean(self, value: Any, name: str, path: str, depth: int) -> Any:
        if path in self._hidden or (isinstance(value, str) and value and sensitive(name)):
            self.paths.append(path)
            return MASK
        if isinstance(value, str):
            clean = without_tokens(value)
            if clean != value:
                self.paths.append(path)
            return clean
        if depth >= DEPTH_MAX:
            return value
        if isinstance(value, dict):
            return {key: self._clean(part, str(key), _below(path, key), depth + 1) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._clean(part, name, _below(path, place), depth + 1) for place, part in enumerate(value)]
        return value


def sensitive(name: str) -> bool:
    """Return whether a text in a field of this name may be a secret."""
    low = name.lower().replace("-", "").replace("_", "")
    return low in _EXACT or any(word in low for word in _WORDS)


def without_tokens(text: str) -> str:
    """Return a text without tokens, keys and passwords in addresses."""
    text = _TOKENS.sub(MASK, text)
    text = _BEARER.sub(rf"\1 {MASK}", text)
    return str(_USER_INFO.sub(rf"\1{MASK}@", text))


def _below(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)
