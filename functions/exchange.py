"""A provider's token becomes a session here: the one place where such tokens are taken."""

from functions.auth import begin_session
from functions.fields import bad_field
from functions.rates import spend
from functions.services import Services
from functions.shapes import ProviderToken, Session, SignInChoices
from functions.vroid import given_back_if_refused, keep_grant, redeem_code
from functions.web import Call, Operation, SignIn
from vchat import limits
from vchat.errors import Refused, Why
from vchat.hub import PROVIDER as VROID
from vchat.hub import Grant
from vchat.identity import Person
from vchat.ids import new_user_id
from vchat.model import Account


async def sign_in_choices(call: Call, services: Services) -> SignInChoices:
    vroid = (VROID,) if services.vroid else ()
    return SignInChoices(
        sign_in=("guest", *sorted(services.providers), *vroid), voice=services.voice is not None
    )


async def exchange(call: Call, services: Services) -> Session:
    wanted = call.read(ProviderToken)
    await spend(services, "sign-in", call.address, limits.SIGN_INS)
    person, grant = await prove(call, services, wanted)
    async with given_back_if_refused(services, grant):
        account = await account_of(call, services, person)
        if grant is not None:
            await keep_grant(services, account.id, grant)
    return await begin_session(call, services, account)


async def prove(
    call: Call, services: Services, given: ProviderToken
) -> tuple[Person, Grant | None]:
    """Whom a provider's token stands for. Raises Refused."""
    if given.provider == VROID and services.vroid is not None:
        return await redeem_code(services, given.token)
    provider = services.providers.get(given.provider)
    if provider is None:
        raise bad_field("provider", "This way to sign in is not configured here")
    return await provider.verify(given.token, now=call.now), None


async def account_of(call: Call, services: Services, person: Person) -> Account:
    """The account that a person signs in to; the first time makes it."""
    known = await services.store.account_of(person.identity)
    if known is not None:
        return known
    account = Account(
        id=new_user_id(), name=person.name, identities=(person.identity,), created_at=call.today
    )
    try:
        await services.store.add_account(account)
    except Refused as refused:
        # Two first sign-ins at once: the other one made the account.
        if refused.why is not Why.CONFLICT:
            raise
        known = await services.store.account_of(person.identity)
        if known is None:
            raise
        return known
    return account


OPERATIONS = (
    Operation(
        target="auth",
        method="GET",
        path="/auth/providers",
        summary="The ways to sign in that are configured here, and whether there is voice",
        handler=sign_in_choices,
        answer=SignInChoices,
        sign_in=SignIn.NONE,
    ),
    Operation(
        target="auth",
        method="POST",
        path="/auth/exchange",
        summary="Exchange what a provider issued for a session; the first time makes the account",
        handler=exchange,
        body=ProviderToken,
        answer=Session,
        sign_in=SignIn.NONE,
        refusals=(Why.UNAUTHENTICATED, Why.TOO_FAST),
    ),
)
