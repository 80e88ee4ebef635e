"""VRoid Hub's models: looking at them, and leave for the caller's own client to load one."""

from functions.rates import spend
from functions.services import Services
from functions.shapes import AvatarDownload, AvatarList, AvatarQuery
from functions.vroid import access_token, hub_access
from functions.web import Call, Operation
from vchat import limits
from vchat.conditions import forbidden
from vchat.errors import Refused, Why
from vchat.hub import PROVIDER, Model
from vchat.model import Account, Avatar, Room, Stance

_REFUSALS = (Why.NOT_FOUND, Why.HUB_SIGN_IN, Why.TOO_FAST)


async def list_avatars(call: Call, services: Services) -> AvatarList:
    hub = hub_access(services).hub
    wanted = call.read_query(AvatarQuery)
    token = await _asked(call, services)
    page = await hub.models(wanted.source, token, cursor=wanted.cursor, count=wanted.limit)
    return AvatarList(items=page.models, next_cursor=page.next_cursor)


async def show_avatar(call: Call, services: Services) -> Model:
    hub = hub_access(services).hub
    return await hub.model(call.params["avatar_id"], await _asked(call, services))


async def download_avatar(call: Call, services: Services) -> AvatarDownload:
    hub, model_id = hub_access(services).hub, call.params["avatar_id"]
    token = await _asked(call, services)
    model = await hub.model(model_id, token)
    _require_leave(model, call.account)
    download = await hub.download(model_id, token)
    return AvatarDownload(
        url=download.url, expires_at=download.expires_at, conditions=model.conditions
    )


async def hub_avatar(call: Call, services: Services, model_id: str) -> Avatar:
    """A model as the caller's avatar, with all that has to be shown beside it."""
    model = await hub_access(services).hub.model(model_id, await _asked(call, services))
    _require_leave(model, call.account)
    return Avatar(
        source="vroid",
        id=model.id,
        title=model.title,
        author=model.author,
        conditions=model.conditions,
        shared=_for_everyone(model),
    )


def require_allowed(avatar: Avatar | None, room: Room) -> None:
    """Refuse an avatar whose author does not allow what happens in the room.

    Ours allow everything; of a file from anywhere nothing is known, so nothing is allowed.
    """
    if avatar is None or avatar.source == "preset" or not room.uses:
        return
    missing = room.uses if avatar.conditions is None else forbidden(avatar.conditions, room.uses)
    if missing:
        uses = ", ".join(use.value for use in missing)
        raise Refused(Why.AVATAR_NOT_ALLOWED, f"Its author does not allow this use: {uses}.")


def _require_leave(model: Model, account: Account) -> None:
    """The Hub's rule for applications: a person's own models, and those that all may load."""
    if not (_is_own(model, account) or _for_everyone(model)):
        raise Refused(Why.FORBIDDEN, "Its author does not let others use this model.")


def _is_own(model: Model, account: Account) -> bool:
    return any(
        one.provider == PROVIDER and one.subject == model.author_id for one in account.identities
    )


def _for_everyone(model: Model) -> bool:
    return model.downloadable and model.conditions.avatar_use is Stance.ALLOWED


async def _asked(call: Call, services: Services) -> str:
    """The caller's token at the Hub, within their share of what the Hub lets us ask."""
    await spend(services, "hub", call.account.id, limits.HUB_CALLS)
    return await access_token(call, services)


OPERATIONS = (
    Operation(
        target="avatars",
        method="GET",
        path="/avatars",
        summary="The caller's VRoid Hub models, those they gave a heart, or the staff's picks",
        handler=list_avatars,
        query=AvatarQuery,
        answer=AvatarList,
        refusals=_REFUSALS,
    ),
    Operation(
        target="avatars",
        method="GET",
        path="/avatars/{avatar_id}",
        summary="A VRoid Hub model, with its author and conditions of use",
        handler=show_avatar,
        answer=Model,
        refusals=(*_REFUSALS, Why.FORBIDDEN),
    ),
    Operation(
        target="avatars",
        method="POST",
        path="/avatars/{avatar_id}/download",
        summary="Leave to load a model: a short-lived address for the caller's own client",
        handler=download_avatar,
        answer=AvatarDownload,
        refusals=(*_REFUSALS, Why.FORBIDDEN),
    ),
)
