"""Where a deployment's secrets come from: named in the environment now, or deployed before."""

import os

from infra.tools.commands import Stopped, ask
from vchat.keys import dump_ring, new_ring
from vchat.vault import new_vault_key

NAMES = (
    "LIVEKIT_API_KEY",
    "LIVEKIT_API_SECRET",
    "NEXTAUTH_SECRET",
    "REDIS_URL",
    "VCHAT_SIGNING_KEYS",
    "VCHAT_VAULT_KEY",
    "VROID_CLIENT_SECRET",
)


def gathered(project: str, *, external_redis: bool) -> dict[str, str]:
    """The values that there are, by the names of their settings; keys of our own are made.

    Terraform takes of these what the configuration needs, and says what is missing. Raises Stopped.
    """
    listing = ("secrets", "list", "--filter=name~/vchat-", "--format=value(name)")
    listed = ask("gcloud", *listing, f"--project={project}") or ""
    deployed = {name.rpartition("/")[2] for name in listed.split()}
    values = {}
    for name in NAMES:
        secret = f"vchat-{name.lower().replace('_', '-').removeprefix('vchat-')}"
        value = os.environ.get(name) or (_stored(project, secret) if secret in deployed else None)
        if value:
            values[name] = value
    values.setdefault("VCHAT_SIGNING_KEYS", dump_ring(new_ring()))
    values.setdefault("VCHAT_VAULT_KEY", new_vault_key())
    if not external_redis:
        values.pop("REDIS_URL", None)
    elif "REDIS_URL" not in values:
        raise Stopped(
            "V-Chat needs a Redis for who is where. Any Redis 7 will do; a free one that "
            "costs nothing idle is fine.\n"
            "  Name it:  export REDIS_URL='rediss://user:password@host:port'\n"
            "  Once deployed it is kept in Secret Manager and need not be named again."
        )
    return values


def placeholders(*, external_redis: bool) -> dict[str, str]:
    """A value for every name, none of them true: a destroy has to name them and writes none."""
    values = dict.fromkeys(NAMES, "not needed")
    values["VCHAT_SIGNING_KEYS"] = '{"keys": [{}]}'
    values["REDIS_URL"] = "rediss://not-needed"
    if not external_redis:
        del values["REDIS_URL"]
    return values


def _stored(project: str, secret: str) -> str | None:
    """A deployed secret's value; None when it has none yet, as after a run that broke off."""
    where = f"--project={project}"
    value = ask("gcloud", "secrets", "versions", "access", "latest", f"--secret={secret}", where)
    if value is None:
        words = ("secrets", "versions", "list", secret, "--limit=1", "--format=value(name)")
        if ask("gcloud", *words, where) != "":
            # Going on would make a new one, and sign everybody out.
            raise Stopped(
                f"The secret {secret} is there, but cannot be read.\n"
                "  This account needs roles/secretmanager.secretAccessor on the project."
            )
    return value
