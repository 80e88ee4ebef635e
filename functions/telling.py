"""Telling the relays of a room what a function just changed in it."""

import logging

from functions.services import Services
from vchat import events
from vchat.bus_messages import Events, encode
from vchat.errors import Refused
from vchat.events import Event
from vchat.model import Room
from vchat.state import Position

_log = logging.getLogger("vchat.bus")


async def tell(services: Services, room_id: str, logged: tuple[Position, Event] | None) -> None:
    """Publish an event that the state has logged.

    The bus being away is no failure of the request: the event is in the log, where relays find the
    gap when they next renew their seats.
    """
    if logged is None:
        return
    position, event = logged
    try:
        await services.bus.publish(room_id, encode(Events.of(position.epoch, [event])))
    except Refused as refused:
        _log.warning("event not published", extra={"room": room_id, "reason": str(refused)})


async def tell_changed(services: Services, room: Room) -> int:
    """Show a changed room to the relays and everyone inside; how many these are."""
    occupancy = (await services.state.occupancy([room.id]))[room.id]
    body = events.room_changed(room, occupancy)
    await tell(services, room.id, await services.state.change_room(room, body))
    return occupancy
