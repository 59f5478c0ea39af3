"""The push source: inbound HTTP requests, checked against their triggers before a byte of them is parsed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any, Protocol

import msgspec
from msgspec import structs

from workflow_scheduler.core.errors import BadRequest, MethodNotAllowed, NotFound, SchedulerError, SignatureInvalid
from workflow_scheduler.core.inbound.presets import PROVIDERS
from workflow_scheduler.core.match.keys import id_route, secret_route, split_secret_route, workflow_route
from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.core.ports.catalog import Catalog
from workflow_scheduler.core.ports.sources import SourceIO
from workflow_scheduler.core.ports.vault import Secrets
from workflow_scheduler.core.registry import Heard, PushRequest
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.pipeline.candidates import CandidateCache, Compiled
from workflow_scheduler.pipeline.entries import Receipt
from workflow_scheduler.pipeline.inbox import Inbox

ROUTES_MAX = 20_000
WEBHOOK = "webhook"
_encode = msgspec.json.encode
_NO_ROUTE = "Nothing listens at this address."


class Guard(Protocol):
    """Remembers signed requests (stores.portable.replays.ReplayGuard)."""

    async def admit(self, tenant_id: str, key: str, identity: str, now: int, until: int) -> bool:
        """Return whether the request `key` may be heard as `identity`."""
        ...


class AppHook(Protocol):
    """The hook of an App, whose deliveries come for all tenants (services.github_app.GitHubApp)."""

    provider: str
    secret: str

    async def hearers(self, request: PushRequest, fitting: Mapping[str, list[str]]) -> Mapping[str, list[str]]:
        """Return who may hear a delivery, and the secrets it counts as signed with; `fitting` are those that fit."""
        ...

    async def note(self, request: PushRequest) -> None:
        """Take note of what a delivery says about the App."""
        ...


class Remarks(Protocol):
    """Remembers what was refused (stores.portable.refusals.Refusals)."""

    async def note(self, triggers: Sequence[tuple[str, str]], why: str, now: int) -> None:
        """Remember that triggers (tenant, id) refused a request."""
        ...


class PushSource:
    """Receives requests for every push trigger type."""

    def __init__(
        self,
        catalog: Catalog,
        cache: CandidateCache,
        inbox: Inbox,
        secrets: Secrets,
        types: Mapping[str, ModuleType],
    ) -> None:
        """Look routes up through `catalog`; open secrets through `secrets`.

        Set by the composition root: `guard` remembers signed requests that could be sent again as something else,
        `remarks` which triggers refused a request, `lend` gives what a type is lent that asks for what senders leave
        out, `app` is the App of a provider.
        """
        self._catalog = catalog
        self._cache = cache
        self._inbox = inbox
        self._secrets = secrets
        self._types = types
        self._routes: dict[tuple[str, str], tuple[Compiled, ...]] = {}
        self._keys: dict[str, tuple[str, ...]] = {}
        self._epoch = -1
        self.guard: Guard | None = None
        self.remarks: Remarks | None = None
        self.lend: Callable[[str], SourceIO] | None = None
        self.app: AppHook | None = None

    async def receive(self, provider: str, route: str, request: PushRequest) -> list[Receipt]:
        """Verify, parse and store one request; returns after the durable commit.

        `route` is a trigger id, a workflow id or name, or a custom path; "" addresses every trigger of the type.

        Raises:
            NotFound: no trigger listens there.
            MethodNotAllowed: a trigger listens there, for other methods.
            SignatureInvalid: no trigger's secret fits.
            BadRequest: the body cannot be read.

        """
        module: Any = self._types.get(provider)
        if (module is None or module.shape != "push") and provider not in PROVIDERS:
            raise NotFound(_NO_ROUTE)
        if not route:
            return await self._receive_for_type(module, request)
        if ":" in route or not route.isprintable():
            raise NotFound(_NO_ROUTE)  # the keys of ids, workflows and secrets are no addresses
        listeners = await self._listeners(provider, route) if module is not None else ()
        if not listeners and provider in PROVIDERS:
            found = await self._listeners(WEBHOOK, route)
            listeners = tuple(one for one in found if _is_signed_as(one, provider))
        listeners = tuple(one for one in listeners if one.error is None)
        if not listeners:
            raise NotFound(_NO_ROUTE, fix="Deploy a workflow with a trigger for this address, and check the path.")
        module = listeners[0].module
        try:
            return await self._accept(module, await self._let_in(module, listeners, request), request)
        except (SignatureInvalid, MethodNotAllowed, BadRequest) as refusal:
            await self._remark(listeners, refusal, request.received_at)
            raise

    async def _let_in(self, module: Any, listeners: tuple[Compiled, ...], request: PushRequest) -> list[Compiled]:
        """Return the triggers that may hear a request.

        Raises:
            MethodNotAllowed: none takes its method.
            SignatureInvalid: no trigger's secret fits.

        """
        allowed = _allowing(listeners, request.method)
        authentic = [one for one in allowed if await self._authentic(module, one, request)]
        if not authentic:
            raise SignatureInvalid(fix="Sign the raw body with the secret that the trigger names.")
        return authentic

    async def _remark(self, listeners: tuple[Compiled, ...], refusal: SchedulerError, now: int) -> None:
        """Remember a refusal with the triggers that the request was meant for; it is refused all the same."""
        if self.remarks is not None:
            with suppress(SchedulerError):
                meant = [(one.trigger.tenant_id, one.trigger.id) for one in listeners]
                await self.remarks.note(meant, refusal.detail, now)

    async def _listeners(self, provider: str, route: str) -> tuple[Compiled, ...]:
        self._follow_epoch()
        key = (provider, route)
        known = self._routes.get(key)
        if known is None:
            epoch = self._cache.epoch
            known = ()
            for candidate in (id_route(route), workflow_route(route), route, "/" + route):
                found = await self._catalog.routes(provider, candidate)
                if found:
                    known = tuple(self._cache.compile(trigger) for trigger in found)
                    break
            if epoch == self._cache.epoch and known:
                if len(self._routes) >= ROUTES_MAX:
                    self._routes.pop(next(iter(self._routes)))
                self._routes[key] = known
        return known

    def _follow_epoch(self) -> None:
        if self._epoch != self._cache.epoch:
            self._routes.clear()
            self._keys.clear()
            self._epoch = self._cache.epoch

    async def _authentic(self, module: Any, compiled: Compiled, request: PushRequest) -> bool:
        name = module.secret_name(compiled.config)
        if name is None:
            return _passes(module, compiled.config, request, None)
        values = await self._secrets.live(compiled.trigger.tenant_id, name)
        return any(_passes(module, compiled.config, request, value) for value in values)

    async def _accept(self, module: Any, authentic: list[Compiled], request: PushRequest) -> list[Receipt]:
        """Store what the request says once per tenant that listens; only triggers whose check it passed may hear it."""
        receipts: list[Receipt] = []
        tenants: dict[str, list[Compiled]] = {}
        for compiled in authentic:
            tenants.setdefault(compiled.trigger.tenant_id, []).append(compiled)
        for tenant_id, mine in tenants.items():
            first = mine[0].trigger
            extra: dict[str, Any] = {"target_trigger_id": first.id} if len(mine) == 1 else {}
            given = request
            if len(mine) > 1:
                names = dict.fromkeys(module.secret_name(one.config) for one in mine)
                given = structs.replace(request, signed_with=tuple(name for name in names if name))
            heard: list[Heard] = module.parse(mine[0].config, given)
            await self._check_replay(mine[0], request, heard)
            if len(mine) > 1:
                route = (workflow_route(first.workflow_id),)
                heard = [one if one.index_keys else structs.replace(one, index_keys=route) for one in heard]
            events = [self._inbox.event(one, tenant_id=tenant_id, provider=module.name, **extra) for one in heard]
            receipts += await self._inbox.accept_all(await self._completed(module, events)) if events else []
        return receipts

    async def _completed(self, module: Any, events: list[Event]) -> list[Event]:
        """Return events with what their sender left out, for types that can ask for it."""
        complete = getattr(module, "complete", None)
        if complete is None or self.lend is None:
            return events
        whole: list[Event] = []
        for event in events:
            configs = [one.config for one in await self._cache.find(event) if one.error is None]
            found = await complete(configs, EventView(event), self.lend(event.tenant_id))
            whole.append(event if found is None else structs.replace(event, attributes=_encode(found)))
        return whole

    async def _check_replay(self, compiled: Compiled, request: PushRequest, heard: list[Heard]) -> None:
        """Refuse a copy of a signed request that says it is another delivery.

        Raises:
            SignatureInvalid: it is one.

        """
        key_of = getattr(compiled.module, "guard", None)
        key = key_of(compiled.config, request) if key_of is not None else None
        if key is None or self.guard is None or not heard or heard[0].event_key is None:
            return
        until = request.received_at + 2 * int(compiled.config.signature.tolerance * SECOND_US)
        tenant_id, identity = compiled.trigger.tenant_id, heard[0].event_key
        if not await self.guard.admit(tenant_id, key, identity, request.received_at, until):
            raise SignatureInvalid("This request was taken before, under another id.", fix="Sign each delivery anew.")

    async def _receive_for_type(self, module: Any, request: PushRequest) -> list[Receipt]:
        """Receive at an endpoint that serves all triggers of a type: the secrets that fit name tenant and triggers."""
        fitting: Mapping[str, list[str]] = await self._fitting(module, request)
        app = self.app
        of_app = app is not None and app.provider == module.name and _passes(module, None, request, app.secret)
        if app is not None and of_app:
            fitting = await app.hearers(request, fitting)
        elif not fitting:
            raise SignatureInvalid(fix="Use the secret that a deployed trigger names, and sign the raw body with it.")
        receipts: list[Receipt] = []
        for tenant_id, names in fitting.items():
            heard: list[Heard] = module.parse(None, structs.replace(request, signed_with=tuple(names)))
            events = [self._inbox.event(one, tenant_id=tenant_id, provider=module.name) for one in heard]
            receipts += await self._inbox.accept_all(await self._completed(module, events)) if events else []
        if app is not None and of_app:
            await app.note(request)  # last: what ends an installation is heard by whose it was
        return receipts

    async def _fitting(self, module: Any, request: PushRequest) -> dict[str, list[str]]:
        """Return the tenants that have a secret of a trigger that fits, with the names of those secrets."""
        fitting: dict[str, list[str]] = {}
        for tenant_id, name in await self._secret_names(module.name):
            values = await self._secrets.live(tenant_id, name)
            if any(_passes(module, None, request, value) for value in values):
                fitting.setdefault(tenant_id, []).append(name)
        return fitting

    async def _secret_names(self, provider: str) -> list[tuple[str, str]]:
        self._follow_epoch()
        known = self._keys.get(provider)
        if known is None:
            epoch = self._cache.epoch
            known = tuple(await self._catalog.distinct_keys(provider, secret_route("", "")[:7]))
            if epoch == self._cache.epoch:
                self._keys[provider] = known
        return [split_secret_route(key) for key in known]


def _is_signed_as(compiled: Compiled, provider: str) -> bool:
    return compiled.error is None and compiled.config.signature.scheme == provider


def _passes(module: Any, config: Any, request: PushRequest, secret: str | None) -> bool:
    try:
        module.verify(config, request, secret)
    except SignatureInvalid:
        return False
    return True


def _allowing(listeners: tuple[Compiled, ...], method: str) -> list[Compiled]:
    allowed = [one for one in listeners if method in _methods(one)]
    if not allowed:
        methods = sorted({name for one in listeners for name in _methods(one)})
        raise MethodNotAllowed(f"This address takes {', '.join(methods)}.", allow=methods)
    return allowed


def _methods(compiled: Compiled) -> tuple[str, ...]:
    methods: tuple[str, ...] = getattr(compiled.config, "methods", ("POST",))
    return methods
