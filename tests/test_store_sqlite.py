"""What the SQLite file promises beyond every store: it lasts, is shared, and fails clearly."""

import asyncio
import sqlite3
import subprocess
import sys

import pytest

from adapters.keys_file import open_ring
from adapters.store_sqlite import SqliteStore
from tests.test_store import NOW, TODAY, a_room, an_account
from vchat.config import ConfigError
from vchat.errors import Refused, Why
from vchat.store import Family, Rotation


async def test_what_was_kept_is_there_after_a_new_start(tmp_path):
    path = tmp_path / "new" / "folder" / "vchat.db"
    account, room = an_account(), a_room()
    store = SqliteStore(path)
    await store.add_account(account)
    await store.add_room(room)
    await store.close()
    again = SqliteStore(path)
    assert await again.account(account.id) == account
    assert await again.room(room.id) == room
    await again.close()


async def test_two_processes_may_share_a_file(tmp_path):
    path = tmp_path / "vchat.db"
    one, two = SqliteStore(path), SqliteStore(path)
    account = an_account()
    await one.add_account(account)
    await one.add_family(Family("f", account.id, "a", NOW + 60))

    async def rotate(store, new):
        return await store.rotate("f", old_hash="a", new_hash=new, now=NOW, expires_at=NOW + 60)

    outcomes = await asyncio.gather(rotate(one, "b"), rotate(two, "c"))
    assert {outcome for outcome, _ in outcomes} == {Rotation.ROTATED, Rotation.REUSED}
    await one.close()
    await two.close()


async def test_a_cancelled_caller_leaves_all_of_a_step_or_nothing(tmp_path):
    store = SqliteStore(tmp_path / "vchat.db")
    adding = [asyncio.create_task(store.add_room(a_room())) for _ in range(20)]
    await asyncio.sleep(0)
    for task in adding:
        task.cancel()
    await asyncio.gather(*adding, return_exceptions=True)
    # No transaction is left open, and the next step works.
    room = a_room()
    await store.add_room(room)
    assert await store.room(room.id) == room
    await store.close()


def broken_file(path):
    path.write_bytes(b"this is not a database" * 100)


def newer_file(path):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def folder_there(path):
    path.mkdir()


def damaged_file(path):
    asyncio.run(SqliteStore(path).close())
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))


@pytest.mark.parametrize("spoil", [broken_file, newer_file, folder_there, damaged_file])
def test_a_file_that_cannot_be_used_is_one_clear_sentence(tmp_path, spoil):
    path = tmp_path / "data" / "vchat.db"
    path.parent.mkdir()
    spoil(path)
    with pytest.raises(ConfigError) as wrong:
        SqliteStore(path)
    (problem,) = wrong.value.problems
    assert str(path) in problem
    assert problem.endswith(".")


@pytest.mark.parametrize("use", [SqliteStore, open_ring])
def test_a_file_where_the_folder_should_be_is_one_clear_sentence(tmp_path, use):
    folder = tmp_path / "data"
    folder.write_text("not a folder")
    with pytest.raises(ConfigError) as wrong:
        use(folder / "file")
    assert wrong.value.problems == [f"The data folder {folder} is a file, not a folder."]
    with pytest.raises(ConfigError) as wrong:
        use(folder / "within" / "file")
    assert "cannot be made: Not a directory." in str(wrong.value)


async def test_a_file_that_breaks_later_is_unavailable_and_the_log_says_why(tmp_path, caplog):
    store = SqliteStore(tmp_path / "vchat.db")
    store._db.execute("DROP TABLE rooms")
    with pytest.raises(Refused) as refused:
        await store.public_rooms(query="", limit=1, cursor=None, now=TODAY)
    assert refused.value.why is Why.UNAVAILABLE
    (said,) = [record.message for record in caplog.records]
    assert said == f"The data file {tmp_path / 'vchat.db'} cannot be used: no such table: rooms."
    await store.close()


def test_a_process_that_forgot_to_close_still_ends(tmp_path):
    code = (
        "import asyncio, pathlib, sys\n"
        "from adapters.store_sqlite import SqliteStore\n"
        "store = SqliteStore(pathlib.Path(sys.argv[1]))\n"
        "asyncio.run(store.account('x'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "vchat.db"], timeout=20)
    assert done.returncode == 0
