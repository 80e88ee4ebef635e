"""The caller's own account: name, avatar, and its end."""

import ipaddress
import re
from urllib.parse import urlsplit

import msgspec

from functions.avatars import hub_avatar
from functions.fields import bad_field
from functions.rooms import end_room
from functions.services import Services
from functions.shapes import AccountChanges, AvatarChoice, User, user_of
from functions.speech import hang_up
from functions.telling import tell
from functions.vroid import drop_grant
from functions.web import Call, Operation
from vchat.errors import Refused, Why
from vchat.model import Account, Avatar
from vchat.state import Reason

_PRESET = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_LOCAL_NAMES = (".local", ".localhost", ".internal", ".lan", ".home.arpa")
# Browsers take a backslash for a slash and decode percents in a host; urlsplit does neither.
_URL = re.compile(r"https://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?([/?#][!-\[\]-~]*)?")
_6TO4 = ipaddress.ip_network("2002::/16")


async def me(call: Call, services: Services) -> User:
    return user_of(call.account)


async def change_me(call: Call, services: Services) -> User:
    changes = call.read(AccountChanges)
    return await _change(call, services, {} if changes.name is None else {"name": changes.name})


async def choose_avatar(call: Call, services: Services) -> User:
    choice = call.read(AvatarChoice)
    if choice.source == "vroid" and services.vroid is None:
        raise bad_field("source", "VRoid Hub is not configured here")
    avatar = (
        await hub_avatar(call, services, choice.id)
        if choice.source == "vroid"
        else _checked_avatar(choice)
    )
    return await _change(call, services, {"avatar": avatar})


async def delete_me(call: Call, services: Services) -> None:
    # The account last: should something fail, it is still there to try again with.
    user_id = call.account.id
    for room in await services.store.rooms_of(user_id, now=call.today):
        await end_room(call, services, room)
    for room_id in await services.state.visits(user_id):
        # Kicked, since that closes sockets and also refuses the tickets that are still out.
        logged = await services.state.leave(room_id, user_id, None, Reason.KICKED)
        await tell(services, room_id, logged)
        await hang_up(services, room_id, user_id)
    if services.queue is not None:
        await services.queue.leave(user_id)  # or somebody would be matched with nobody
    await drop_grant(services, user_id)
    await services.store.delete_account(user_id)


def _checked_avatar(choice: AvatarChoice) -> Avatar:
    match choice.source:
        case "preset" if not _PRESET.fullmatch(choice.id):
            raise bad_field("id", "Expected a preset's name: a-z, 0-9 and hyphens, at most 64")
        case "url" if not _is_https(choice.id):
            raise bad_field("id", "Expected an https URL of a public host")
    return Avatar(source=choice.source, id=choice.id)


def _is_https(text: str) -> bool:
    if not _URL.fullmatch(text):
        return False
    try:
        parts = urlsplit(text)
        return parts.port != 0 and _is_public(parts.hostname or "")
    except ValueError:  # such as half an IPv6 address, or a port that there is not
        return False


def _is_public(host: str) -> bool:
    """Others' browsers will load it: it must not lead into the network they happen to be in."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.rstrip(".")
        # The last label of a public name is no number; browsers read 0x7f.1 as an address.
        ends_in_letters = name.rpartition(".")[2][:1].isalpha()
        return "." in name and ends_in_letters and not name.endswith(_LOCAL_NAMES)
    # An IPv6 address may lead to an IPv4 one: 6to4, or reserved for that (mapped, NAT64).
    leads_on = address.is_reserved or address in _6TO4
    return address.is_global and not (leads_on or address.is_multicast)


async def _change(call: Call, services: Services, changes: dict[str, object]) -> User:
    def change(account: Account) -> Account:
        return msgspec.structs.replace(account, **changes)

    changed = await services.store.change_account(call.account.id, change)
    if changed is None:
        raise Refused(Why.UNAUTHENTICATED, "The account no longer exists.")
    return user_of(changed)


OPERATIONS = (
    Operation(
        target="auth",
        method="GET",
        path="/me",
        summary="The caller's account",
        handler=me,
        answer=User,
    ),
    Operation(
        target="auth",
        method="PATCH",
        path="/me",
        summary="Change the caller's name; rooms see it with the next ticket",
        handler=change_me,
        body=AccountChanges,
        answer=User,
    ),
    Operation(
        target="auth",
        method="DELETE",
        path="/me",
        summary="Delete the account, its rooms, sign-ins and seats",
        handler=delete_me,
        status=204,
    ),
    Operation(
        target="auth",
        method="PUT",
        path="/me/avatar",
        summary="Choose an avatar; rooms see it with the next ticket",
        handler=choose_avatar,
        body=AvatarChoice,
        answer=User,
        refusals=(Why.NOT_FOUND, Why.FORBIDDEN, Why.HUB_SIGN_IN, Why.TOO_FAST),
    ),
)
