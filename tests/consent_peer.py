"""GitHub, Slack and Google as a person who consents meets them: one HTTP server that keeps to their documented rules.

A code is good once, for its client, its redirect address and the verifier of its challenge (RFC 6749, RFC 7636). GitHub
and Slack answer refusals with status 200; a refresh token of theirs is good once.
"""

import base64
import hashlib
import http.server
import json
import secrets
import threading
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

CLIENT, SECRET = "the-client", "the secret of the client/+"
_PAGES = {"/login/oauth/authorize": "github", "/oauth/v2/authorize": "slack", "/o/auth": "google"}
_TOKENS = {"/login/oauth/access_token": "github", "/api/oauth.v2.access": "slack", "/token": "google"}


class ConsentPeer:
    """The providers; what they do may be changed between two requests."""

    def __init__(self):
        self.deny = False  # the person says no
        self.broken = None  # answer exchanges with this status
        self.seconds = None  # how long access tokens are good; None is for ever
        self.google_refresh = True
        self.codes = {}
        self.refresh = {}
        self.tokens = set()
        self.forms = []
        self._lock = threading.Lock()
        peer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                peer.get(self)

            def do_POST(self):
                peer.post(self)

            def log_message(self, *_arguments):
                """Print nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self):
        """The settings of an installation that is registered here."""
        own = {"CLIENT_ID": CLIENT, "CLIENT_SECRET": SECRET}
        return {
            **{f"{name}_{key}": value for name in ("GITHUB", "SLACK", "GOOGLE") for key, value in own.items()},
            "WFS_GITHUB_URL": self.url, "WFS_GITHUB_API_URL": f"{self.url}/v3", "WFS_SLACK_URL": self.url,
            "WFS_GOOGLE_AUTHORIZE_URL": f"{self.url}/o/auth", "WFS_GOOGLE_TOKEN_URL": f"{self.url}/token",
            "WFS_EGRESS_ALLOW": "127.0.0.1",
        }  # fmt: skip

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_given):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def get(self, request):
        parts = urlsplit(request.path)
        query = dict(parse_qsl(parts.query))
        if parts.path in _PAGES:
            self._consent(request, _PAGES[parts.path], query)
        elif request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            answer(request, {"ok": False, "error": "invalid_auth"}, 401 if parts.path == "/v3/user" else 200)
        elif parts.path == "/v3/user":
            answer(request, {"login": "ann-at-github"})
        else:
            answer(request, {"ok": True, "team": "Acme", "team_id": "T1", "user": "robot"})

    def _consent(self, request, provider, query):
        """Ask the person, who decides at once, and send the browser back."""
        assert query["client_id"] == CLIENT
        assert query["response_type"] == "code"
        assert query["scope"]
        if provider == "google":
            assert (query["access_type"], query["prompt"]) == ("offline", "consent")
        back = {"state": query["state"], "error": "access_denied"}
        if not self.deny:
            code = secrets.token_urlsafe(16)
            self.codes[code] = {"provider": provider, **query}
            back = {"state": query["state"], "code": code}
        request.send_response(302)
        request.send_header("location", f"{query['redirect_uri']}?{urlencode(back)}")
        request.send_header("content-length", "0")
        request.end_headers()

    def post(self, request):
        form = dict(parse_qsl(request.rfile.read(int(request.headers["content-length"])).decode()))
        provider = _TOKENS[urlsplit(request.path).path]
        scheme, _, pair = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            name, _, word = base64.b64decode(pair).decode().partition(":")
            form |= {"client_id": unquote(name), "client_secret": unquote(word)}
        with self._lock:
            self.forms.append({"provider": provider, **form})
            if self.broken is not None:
                answer(request, {}, self.broken)
                return
            refusal = self._refusal(provider, form)
            if refusal is None:
                answer(request, self._given(provider, form.get("scope")))
            elif provider == "slack":
                answer(request, {"ok": False, "error": refusal})
            else:
                answer(request, {"error": refusal, "error_description": "No."}, 400 if provider == "google" else 200)

    def _refusal(self, provider, form):
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return "invalid_client"
        if form.get("grant_type") == "refresh_token":
            token = form["refresh_token"]
            held = self.refresh.get(token) if provider == "google" else self.refresh.pop(token, None)
            return None if held == provider else "bad_refresh_token"
        begun = self.codes.pop(form.get("code"), None)
        if begun is None or begun["provider"] != provider:
            return "bad_verification_code"
        if begun["redirect_uri"] != form.get("redirect_uri"):
            return "redirect_uri_mismatch"
        if provider != "slack":
            assert begun["code_challenge_method"] == "S256"
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            if base64.urlsafe_b64encode(digest).decode().rstrip("=") != begun["code_challenge"]:
                return "invalid_grant"
        form["scope"] = begun["scope"]
        return None

    def _given(self, provider, scope):
        token = {"github": "ghu_", "slack": "xoxb-", "google": "ya29."}[provider] + secrets.token_urlsafe(16)
        self.tokens.add(token)
        given = {"access_token": token, "token_type": "bearer", "scope": scope or ""}
        if provider == "google":
            claims = base64.urlsafe_b64encode(json.dumps({"email": "ann@example.test"}).encode()).decode().rstrip("=")
            given |= {"expires_in": 3599, "id_token": f"e30.{claims}.c2ln"}
        if self.seconds is not None:
            given |= {"expires_in": self.seconds}
        if (provider == "google" and self.google_refresh) or (provider != "google" and self.seconds is not None):
            renewal = "refresh-" + secrets.token_urlsafe(16)
            self.refresh[renewal] = provider
            given |= {"refresh_token": renewal}
        if provider == "github":
            given["scope"] = given["scope"].replace(" ", ",")
            given |= {"refresh_token_expires_in": 15_897_600} if self.seconds is not None else {}
        if provider == "slack":
            given |= {"ok": True, "team": {"id": "T1", "name": "Acme"}, "bot_user_id": "U1", "app_id": "A1"}
        return given


def answer(request, value, status=200):
    body = json.dumps(value).encode()
    request.send_response(status)
    request.send_header("content-type", "application/json")
    request.send_header("content-length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
