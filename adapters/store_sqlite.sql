-- What must last. Idempotent, for two processes that open a new file at once. `body` is the value as JSON; the other columns are what is searched by.
BEGIN IMMEDIATE;

CREATE TABLE IF NOT EXISTS accounts (
    id TEXT PRIMARY KEY,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS identities (
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    PRIMARY KEY (provider, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS identities_of ON identities (account_id);

CREATE TABLE IF NOT EXISTS secrets (
    account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    name TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS rooms (
    id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL,
    listed INTEGER NOT NULL,
    search TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS rooms_listed ON rooms (created_at DESC, id DESC) WHERE listed;
CREATE INDEX IF NOT EXISTS rooms_of ON rooms (owner_id);

CREATE TABLE IF NOT EXISTS standings (
    room_id TEXT NOT NULL REFERENCES rooms ON DELETE CASCADE,
    account_id TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (room_id, account_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS standings_of ON standings (account_id);

CREATE TABLE IF NOT EXISTS invites (
    id TEXT PRIMARY KEY,
    room_id TEXT NOT NULL REFERENCES rooms ON DELETE CASCADE,
    created_by TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS invites_to ON invites (room_id);
CREATE INDEX IF NOT EXISTS invites_of ON invites (created_by);

CREATE TABLE IF NOT EXISTS families (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    token_hash TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS families_of ON families (account_id);

PRAGMA user_version = 2;
COMMIT;
