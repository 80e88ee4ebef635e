"""Signing in at VRoid Hub: OAuth 2.0 with PKCE (RFC 6749, RFC 7636), and what people grant there.

The Hub's tokens never leave us: they are sealed before they are stored. A page gets a code that is
good once, for a minute, and exchanges or links it like any provider's token.
"""

import base64
import hashlib
import hmac
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode, urlsplit

import msgspec

from functions.fields import bad_field
from functions.rates import spend
from functions.services import Services
from functions.shapes import HubReturn, HubSignIn
from functions.web import Call, Operation, Redirect, SignIn
from vchat import limits, opaque
from vchat.errors import Refused, Why
from vchat.hub import PROVIDER, Grant, HubAccess
from vchat.identity import Person

_log = logging.getLogger("vchat.vroid")
_STATE, _CODE, _BROWSER = "vo", "vc", "vb"
_FRESH_S = 5 * 60
"""An access token that is good for less than this is renewed first."""
_RENEWAL_S = 20


class _Pending(msgspec.Struct, frozen=True):
    """A sign-in on its way: what the person comes back to, and what proves it is the same one."""

    return_to: str
    verifier: str
    browser_hash: str


class _Proven(msgspec.Struct, frozen=True):
    """Whom a code stands for. `sealed` is the grant, in the code's place of the vault."""

    person: Person
    sealed: bytes


_read_pending = msgspec.msgpack.Decoder(_Pending).decode
_read_proven = msgspec.msgpack.Decoder(_Proven).decode
_read_grant = msgspec.json.Decoder(Grant).decode


def hub_access(services: Services) -> HubAccess:
    """VRoid Hub, or Refused(NOT_FOUND) where it is not configured."""
    if services.vroid is None:
        raise Refused(Why.NOT_FOUND, "Signing in at VRoid Hub is not configured here.")
    return services.vroid


async def start_vroid_sign_in(call: Call, services: Services) -> Redirect:
    access = hub_access(services)
    wanted = call.read_query(HubSignIn)
    if not _allowed(wanted.return_to, access.return_urls):
        raise bad_field("returnTo", "Expected one of the pages in VCHAT_RETURN_URLS")
    await spend(services, "sign-in", call.address, limits.SIGN_INS)
    state, verifier = opaque.make(_STATE), secrets.token_urlsafe(48)
    # One for all tabs: several may be on their way.
    browser = _browser(call, services) or opaque.make(_BROWSER)
    pending = _Pending(wanted.return_to, verifier, browser.hash)
    await services.state.put_note(_note(state), msgspec.msgpack.encode(pending), limits.OAUTH_S)
    location = access.hub.sign_in_url(
        redirect_uri=_redirect_uri(services),
        state=state.text,
        challenge=base64.urlsafe_b64encode(_digest(verifier)).rstrip(b"=").decode(),
    )
    # The cookie ties the way back to the browser that set out: a link that a stranger prepared
    # would sign people in as that stranger.
    return Redirect(
        location=location, cookie=(_cookie_name(services), browser.text, limits.OAUTH_S)
    )


async def end_vroid_sign_in(call: Call, services: Services) -> Redirect:
    access = hub_access(services)
    back = call.read_query(HubReturn)
    pending = await _pending(call, services, back.state)
    try:
        if back.code is None:
            raise Refused(Why.UNAUTHENTICATED, "VRoid Hub did not sign the person in.")
        grant = await access.hub.redeem(
            back.code,
            verifier=pending.verifier,
            redirect_uri=_redirect_uri(services),
            now=call.now,
        )
        async with given_back_if_refused(services, grant):
            person = await access.hub.person(grant.access_token)
            code = opaque.make(_CODE)
            sealed = access.vault.seal(msgspec.json.encode(grant), place=code.hash)
            proven = msgspec.msgpack.encode(_Proven(person, sealed))
            await services.state.put_note(_note(code), proven, limits.CODE_S)
        fragment = {"code": code.text}
    except Refused as refused:
        # The person is on their way to the page: it must come to say what happened.
        _log.warning("sign-in at VRoid Hub failed", extra={"reason": str(refused)})
        fragment = {"error": refused.code}
    return Redirect(location=f"{pending.return_to}#{urlencode(fragment)}")


async def redeem_code(services: Services, text: str) -> tuple[Person, Grant]:
    """Whom a sign-in at VRoid Hub ended with, and what they granted; once. Raises Refused."""
    access = hub_access(services)
    code = opaque.read(_CODE, text)
    note = None if code is None else await services.state.take_note(_note(code))
    if code is None or note is None:
        raise Refused(Why.UNAUTHENTICATED, "The code is not valid, or was used before.")
    proven = _read_proven(note)
    return proven.person, _read_grant(access.vault.open(proven.sealed, place=code.hash))


async def keep_grant(services: Services, account_id: str, grant: Grant) -> None:
    """Store what a person granted, sealed, and give back the grant that it takes the place of."""
    sealed = _sealed(services, account_id, grant)
    replaced = await services.store.put_secret(account_id, PROVIDER, sealed)
    older = _opened(services, account_id, replaced)
    # Should the Hub grant the same again, giving it back would end the new sign-in.
    if older is not None and older.refresh_token != grant.refresh_token:
        await _give_back(services, older)


async def access_token(call: Call, services: Services) -> str:
    """The caller's token at VRoid Hub, renewed if it ends soon. Raises Refused(HUB_SIGN_IN)."""
    account_id = call.account.id
    sealed = await services.store.secret(account_id, PROVIDER)
    grant = _opened(services, account_id, sealed)
    if sealed is None or grant is None:
        raise Refused(Why.HUB_SIGN_IN, "Sign in at VRoid Hub, or link it to your account.")
    if grant.expires_at - call.now > _FRESH_S:
        return grant.access_token
    # A refresh token works once: of all who see it end, one renews, wherever they run.
    if await services.state.burn(f"vroid-renewal-{account_id}", _RENEWAL_S):
        return await _renewed(call, services, sealed, grant)
    if grant.expires_at <= call.now:
        raise Refused(Why.UNAVAILABLE, "Your sign-in at VRoid Hub is being renewed.", retry_ms=1000)
    return grant.access_token


async def _renewed(call: Call, services: Services, sealed: bytes, grant: Grant) -> str:
    """Renew a grant where it lies; whoever unlinked it or signed in again meanwhile has the say."""
    account_id, store = call.account.id, services.store
    try:
        renewed = await hub_access(services).hub.renew(grant, now=call.now)
    except Refused as refused:
        over = refused.why is Why.HUB_SIGN_IN
        if over and not await store.swap_secret(account_id, PROVIDER, sealed, None):
            return await access_token(call, services)
        raise
    async with given_back_if_refused(services, renewed):
        new = _sealed(services, account_id, renewed)
        kept = await store.swap_secret(account_id, PROVIDER, sealed, new)
    if not kept:
        await _give_back(services, renewed)
        return await access_token(call, services)
    return renewed.access_token


async def drop_grant(services: Services, account_id: str) -> None:
    """Forget what a person granted, and give it back. Ours goes in any case."""
    if services.vroid is None:
        return
    sealed = await services.store.drop_secret(account_id, PROVIDER)
    if grant := _opened(services, account_id, sealed):
        await _give_back(services, grant)


@asynccontextmanager
async def given_back_if_refused(services: Services, grant: Grant | None) -> AsyncIterator[None]:
    """Whatever is refused within, the grant is given back: nobody is going to keep it."""
    try:
        yield
    except Refused:
        if grant is not None:
            await _give_back(services, grant)
        raise


async def _give_back(services: Services, grant: Grant) -> None:
    """Have VRoid Hub forget a grant. Nobody waits for a Hub that is away."""
    try:
        await hub_access(services).hub.revoke(grant)
    except Refused as refused:
        _log.warning("grant at VRoid Hub not revoked", extra={"reason": str(refused)})


def _sealed(services: Services, account_id: str, grant: Grant) -> bytes:
    return hub_access(services).vault.seal(msgspec.json.encode(grant), place=_place(account_id))


def _opened(services: Services, account_id: str, sealed: bytes | None) -> Grant | None:
    if sealed is None:
        return None
    try:
        return _read_grant(hub_access(services).vault.open(sealed, place=_place(account_id)))
    except ValueError:  # sealed with a key that is gone: the person signs in again
        _log.warning("a stored grant cannot be opened", extra={"user": account_id})
        return None


async def _pending(call: Call, services: Services, state_text: str) -> _Pending:
    state = opaque.read(_STATE, state_text)
    note = None if state is None else await services.state.take_note(_note(state))
    if note is None:
        raise bad_field("state", "This sign-in was not begun here, or is over; begin it again")
    pending = _read_pending(note)
    browser = _browser(call, services)
    if browser is None or not hmac.compare_digest(browser.hash, pending.browser_hash):
        raise bad_field("state", "This sign-in was begun in another browser")
    return pending


def _browser(call: Call, services: Services) -> opaque.Opaque | None:
    return opaque.read(_BROWSER, call.cookies.get(_cookie_name(services), ""))


def _cookie_name(services: Services) -> str:
    # By this prefix browsers take it from nobody but this host, and only over TLS.
    prefix = "__Host-" if services.issuer.startswith("https:") else ""
    return f"{prefix}vchat-sign-in"


def _allowed(return_to: str, allowed: frozenset[str]) -> bool:
    try:
        parts = urlsplit(return_to)
    except ValueError:
        return False
    # Printable ASCII without a backslash: what browsers and we would read differently.
    plain = return_to.isascii() and return_to.isprintable() and "\\" not in return_to
    bare = f"{parts.scheme}://{parts.netloc}{parts.path}"
    return plain and "#" not in return_to and " " not in return_to and bare in allowed


def _redirect_uri(services: Services) -> str:
    return f"{services.issuer}/auth/vroid/callback"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _note(token: opaque.Opaque) -> str:
    return f"sign-in:{token.hash}"


def _place(account_id: str) -> str:
    return f"{PROVIDER}:{account_id}"


OPERATIONS = (
    Operation(
        target="auth",
        method="GET",
        path="/auth/vroid/start",
        summary="Sign in at VRoid Hub; ends at returnTo#code=… or returnTo#error=…",
        handler=start_vroid_sign_in,
        query=HubSignIn,
        status=302,
        sign_in=SignIn.NONE,
        refusals=(Why.NOT_FOUND, Why.TOO_FAST),
    ),
    Operation(
        target="auth",
        method="GET",
        path="/auth/vroid/callback",
        summary="Where VRoid Hub sends the browser back to",
        handler=end_vroid_sign_in,
        query=HubReturn,
        status=302,
        sign_in=SignIn.NONE,
        refusals=(Why.NOT_FOUND,),
    ),
)
