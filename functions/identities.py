"""One account, many identities: linking another, and taking one away."""

from typing import get_args

from functions.exchange import prove
from functions.rates import spend
from functions.services import Services
from functions.shapes import Provider, ProviderToken, User, user_of
from functions.vroid import drop_grant, given_back_if_refused, keep_grant
from functions.web import Call, Operation
from vchat import limits
from vchat.errors import Refused, Why
from vchat.hub import PROVIDER as VROID


async def link_identity(call: Call, services: Services) -> User:
    wanted = call.read(ProviderToken)
    await spend(services, "sign-in", call.address, limits.SIGN_INS)
    person, grant = await prove(call, services, wanted)
    async with given_back_if_refused(services, grant):
        account = await services.store.link_identity(call.account.id, person.identity)
        if account is None:
            raise Refused(Why.UNAUTHENTICATED, "The account no longer exists.")
        if grant is not None:
            await keep_grant(services, account.id, grant)
    return user_of(account)


async def unlink_identity(call: Call, services: Services) -> None:
    provider = call.params["provider"]
    if provider not in get_args(Provider):
        raise Refused(Why.NOT_FOUND, "There is no such provider.")
    if provider == VROID:
        await drop_grant(services, call.account.id)
    await services.store.unlink_identity(call.account.id, provider)


OPERATIONS = (
    Operation(
        target="auth",
        method="POST",
        path="/me/identities",
        summary="Link an identity: from now on it signs in to this account",
        handler=link_identity,
        body=ProviderToken,
        answer=User,
        refusals=(Why.CONFLICT, Why.TOO_FAST),
    ),
    Operation(
        target="auth",
        method="DELETE",
        path="/me/identities/{provider}",
        summary="Unlink a provider's identity, and revoke what was granted there",
        handler=unlink_identity,
        status=204,
        refusals=(Why.NOT_FOUND,),
    ),
)
