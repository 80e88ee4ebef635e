"""Signing in, staying signed in, signing out."""

from functions.rates import spend
from functions.services import Services
from functions.shapes import GuestSignIn, RefreshToken, Session, user_of
from functions.web import Call, Operation, SignIn
from vchat import limits, opaque
from vchat.errors import Refused, Why
from vchat.ids import new_user_id
from vchat.model import Account
from vchat.store import Family, Rotation
from vchat.tokens import ACCESS, sign

_REFRESH = "vr"


async def guest(call: Call, services: Services) -> Session:
    wanted = call.read(GuestSignIn)
    await spend(services, "guest", call.address, limits.GUESTS)
    account = Account(id=new_user_id(), name=wanted.name, created_at=call.today)
    await services.store.add_account(account)
    return await begin_session(call, services, account)


async def begin_session(call: Call, services: Services, account: Account) -> Session:
    """A new sign-in of an account: a family of refresh tokens of its own."""
    token = opaque.make(_REFRESH)
    await services.store.add_family(
        Family(token.id, account.id, token.hash, int(call.now) + limits.REFRESH_TOKEN_S)
    )
    return _session(call, services, account, token.text)


async def refresh(call: Call, services: Services) -> Session:
    old = await _shown(call, services)
    if old is None:
        raise Refused(Why.UNAUTHENTICATED, "The refresh token is not valid.")
    new = opaque.make(_REFRESH, old.id)
    outcome, account_id = await services.store.rotate(
        old.id,
        old_hash=old.hash,
        new_hash=new.hash,
        now=int(call.now),
        expires_at=int(call.now) + limits.REFRESH_TOKEN_S,
    )
    if outcome is Rotation.REUSED:
        raise Refused(Why.REFRESH_REUSED, "Somebody used it before; sign in again.")
    account = None if account_id is None else await services.store.account(account_id)
    if account is None:
        raise Refused(Why.UNAUTHENTICATED, "The refresh token is no longer good; sign in again.")
    return _session(call, services, account, new.text)


async def logout(call: Call, services: Services) -> None:
    token = await _shown(call, services)
    if token is not None:
        await services.store.end_family(token.id)


async def _shown(call: Call, services: Services) -> opaque.Opaque | None:
    text = call.read(RefreshToken).refresh_token
    await spend(services, "refresh", call.address, limits.REFRESHES)
    return opaque.read(_REFRESH, text)


def _session(call: Call, services: Services, account: Account, refresh_token: str) -> Session:
    access = sign(
        ACCESS,
        {"sub": account.id},
        issuer=services.issuer,
        kid=services.keys.kid,
        key=services.keys.signing,
        now=int(call.now),
    )
    return Session(
        access_token=access,
        expires_in=ACCESS.life_s,
        refresh_token=refresh_token,
        user=user_of(account),
    )


OPERATIONS = (
    Operation(
        target="auth",
        method="POST",
        path="/auth/guest",
        summary="Sign in with nothing but a name",
        handler=guest,
        body=GuestSignIn,
        answer=Session,
        status=201,
        sign_in=SignIn.NONE,
        refusals=(Why.TOO_FAST,),
    ),
    Operation(
        target="auth",
        method="POST",
        path="/auth/refresh",
        summary="Exchange a refresh token for a new session; an old one ends the sign-in",
        handler=refresh,
        body=RefreshToken,
        answer=Session,
        sign_in=SignIn.NONE,
        refusals=(Why.UNAUTHENTICATED, Why.REFRESH_REUSED, Why.TOO_FAST),
    ),
    Operation(
        target="auth",
        method="POST",
        path="/auth/logout",
        summary="Sign out: the refresh token, which is all the proof there is, is no longer good",
        handler=logout,
        body=RefreshToken,
        status=204,
        sign_in=SignIn.NONE,
        refusals=(Why.TOO_FAST,),
    ),
)
