"""The libraries that other parts of V-Chat use, at their word: what they mint we read, what we mint
they read. `make test` installs them from tests/npm/package-lock.json."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from adapters.identity_nextauth import NextAuthSessions
from adapters.voice_livekit import LiveKit
from tests.components import do_without, need
from tests.fakes.livekit import KEY, SECRET
from vchat.model import Avatar
from vchat.policy import Role
from vchat.voice import Happening, Speaker

FOLDER = Path(__file__).parent / "npm"
SITE = "a-nextauth-secret-of-the-tests-only"
COOKIE = "__Secure-authjs.session-token"
BODY = '{"event":"participant_joined","id":"EV1","room":{"name":"r1"}}'
VOICE = LiveKit("wss://voice.test", KEY, SECRET)


@pytest.fixture(scope="module", name="said")
def _said() -> dict:
    """What the official libraries made of what we gave them."""
    node = need("node")
    # Not installed from here: workers would, in one folder, and break what another brings.
    if not (FOLDER / "node_modules" / ".ready").exists():
        do_without("tests/npm is not installed: make test does it")
    look = Avatar(source="vroid", id="100", title="T", author="A")
    token = VOICE.token(Speaker("r1", "u1", "さくら", Role.MEMBER, look, False), now=time.time())
    asked = {
        "secret": SITE,
        "claims": {"sub": "site-7", "name": "さくら", "pad": "x" * 6000},
        "cookie": COOKIE,
        "livekit": {"key": KEY, "secret": SECRET, "token": token, "body": BODY},
    }
    done = subprocess.run(
        [node, "contracts.mjs"],
        cwd=FOLDER,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("version", "cookie"), [("v4", "next-auth.session-token"), ("v5", COOKIE)])
async def test_a_session_minted_now_says_who_it_is(said, version, cookie):
    token = said[version]
    site = NextAuthSessions(SITE)
    chunks = [token[start : start + 3900] for start in range(0, len(token), 3900)]
    header = "; ".join(f"{cookie}.{number}={chunk}" for number, chunk in enumerate(chunks))
    for form in (token, f"Bearer {token}", header):
        person = await site.verify(form, now=time.time())
        assert (person.identity.subject, person.name) == ("site-7", "さくら")


def test_livekits_verifier_reads_our_voice_token(said):
    read = said["voice"]
    assert (read["sub"], read["name"]) == ("u1", "さくら")
    assert read["video"] == {
        "roomJoin": True,
        "room": "r1",
        "canPublish": True,
        "canPublishSources": ["microphone"],
        "canPublishData": False,
        "canSubscribe": True,
        "canUpdateOwnMetadata": False,
    }
    assert json.loads(read["attributes"]["avatar"])["author"] == "A"


def test_we_read_a_webhook_that_livekit_signed(said):
    news = VOICE.news(BODY.encode(), said["hook"], now=time.time())
    assert (news.what, news.room_id, news.id) == (Happening.JOINED, "r1", "EV1")
