"""What V-Chat's topics and subscriptions are called; nothing a client sends gets into a name."""

import re

from vchat.ids import is_room_id

PREFIX = "vchat-room-"
DELETED_TOPIC = "_deleted-topic_"
"""What Pub/Sub calls the topic of a subscription that outlived it."""
_INSTANCE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def checked_instance(name: str) -> str:
    """An instance's name, if it can stand in a label, a filter and a name; else ValueError."""
    if not _INSTANCE.fullmatch(name):
        raise ValueError("An instance is named by 1 to 63 lower-case letters, digits or hyphens.")
    return name


def topic_path(project: str, room_id: str) -> str:
    if not is_room_id(room_id):
        raise ValueError("That is not a room id.")
    return f"projects/{project}/topics/{PREFIX}{room_id}"


def subscription_path(project: str, room_id: str, instance: str) -> str:
    if not is_room_id(room_id):
        raise ValueError("That is not a room id.")
    return f"projects/{project}/subscriptions/{PREFIX}{room_id}--{instance}"


def room_of(topic: str) -> str | None:
    """The room of a topic's path; None when it is not one of ours."""
    _, _, name = topic.partition("/topics/" + PREFIX)
    return name if is_room_id(name) else None


def room_and_instance_of(subscription: str) -> tuple[str, str] | None:
    """Whose subscription a path names; None when it is not one of ours."""
    _, _, name = subscription.partition("/subscriptions/" + PREFIX)
    room_id, _, instance = name.partition("--")
    return (room_id, instance) if is_room_id(room_id) and instance else None
