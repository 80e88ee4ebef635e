"""Small steps with Firestore documents, for the store to put together."""

from typing import Any, TypeVar

from google.cloud.firestore_v1 import (
    AsyncClient,
    AsyncDocumentReference,
    AsyncWriteBatch,
    DocumentSnapshot,
)
from google.cloud.firestore_v1.async_query import AsyncQuery
from google.cloud.firestore_v1.base_query import FieldFilter

from adapters.firestore_documents import key, value

WRITES = 400
"""In one commit; Firestore takes 500."""

T = TypeVar("T")


def at(db: AsyncClient, collection: str, *name: str) -> AsyncDocumentReference:
    return db.collection(collection).document(key(*name))


async def read(db: AsyncClient, collection: str, *name: str) -> DocumentSnapshot[Any]:
    return await at(db, collection, *name).get()


def found(snapshot: DocumentSnapshot[Any], kind: type[T]) -> T | None:
    document = snapshot.to_dict()
    return None if document is None else value(document, kind)


def where(db: AsyncClient, collection: str, field: str, than: Any, sign: str = "==") -> AsyncQuery:
    return db.collection(collection).where(filter=FieldFilter(field, sign, than))


async def values(query: AsyncQuery, kind: type[T]) -> list[T]:
    return [value(one.to_dict() or {}, kind) async for one in query.stream()]


def replace(
    batch: AsyncWriteBatch, read_as: DocumentSnapshot[Any], document: dict[str, Any]
) -> None:
    """Write these fields, unless the document has changed since it was read."""
    option = AsyncClient.write_option(last_update_time=read_as.update_time)
    batch.update(read_as.reference, document, option)


def remove(batch: AsyncWriteBatch, read_as: DocumentSnapshot[Any]) -> None:
    """Delete the document, unless it has changed since it was read."""
    option = AsyncClient.write_option(last_update_time=read_as.update_time)
    batch.delete(read_as.reference, option)


async def remove_all(batch: AsyncWriteBatch, query: AsyncQuery) -> int:
    """Delete what the query finds, as far as it fits into the batch; how many that were."""
    room = WRITES - len(batch)
    if room <= 0:
        return 0
    doomed = [one.reference async for one in query.select([]).limit(room).stream()]
    for reference in doomed:
        batch.delete(reference)
    return len(doomed)
