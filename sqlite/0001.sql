-- Version 1. Tables are clustered on (room, seq), so a page of history or of the
-- log is one walk along a b-tree. Rooms are numbered to keep the keys short.
-- message.room and change.room carry no REFERENCES: only the store's one writer
-- makes the numbers, and a parent look-up per row would be paid by every message.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO meta VALUES ('max_seq', 0);

CREATE TABLE room (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- Messages as they stand now. The long columns come last, so that counting and
-- filtering need not follow a long row into its overflow pages.
CREATE TABLE message (
    room      INTEGER NOT NULL,
    seq       INTEGER NOT NULL CHECK (seq > 0),
    user_id   TEXT    NOT NULL,
    user_name TEXT    NOT NULL,
    key       TEXT    NOT NULL,            -- '' for none
    digest    INTEGER NOT NULL,            -- of the message as it was sent
    reply_to  INTEGER NOT NULL,
    edited    INTEGER NOT NULL DEFAULT 0,
    deleted   INTEGER NOT NULL DEFAULT 0,
    reacted   INTEGER NOT NULL DEFAULT 0,  -- 1 when reaction may have rows for it
    text      TEXT    NOT NULL,
    data      BLOB,
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX message_key ON message (room, user_id, key) WHERE key <> '';

-- Everything in the log that is not a message.
CREATE TABLE change (
    room      INTEGER NOT NULL,
    seq       INTEGER NOT NULL CHECK (seq > 0),
    type      TEXT    NOT NULL CHECK (type IN ('edit', 'delete', 'react', 'retract')),
    target    INTEGER NOT NULL,
    user_id   TEXT    NOT NULL,
    user_name TEXT    NOT NULL,
    emoji     TEXT    NOT NULL,
    is_on     INTEGER NOT NULL,
    text      TEXT    NOT NULL,            -- '' once the target is deleted
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;

-- A delete empties the target's edits.
CREATE INDEX change_edit ON change (room, target) WHERE type = 'edit';

-- One row per emoji on a message. since is the seq of its first reaction: it
-- orders the emoji and names the row.
CREATE TABLE reaction (
    room   INTEGER NOT NULL,
    target INTEGER NOT NULL,
    since  INTEGER NOT NULL,
    emoji  TEXT    NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (room, target, since),
    FOREIGN KEY (room, target) REFERENCES message ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Who reacted, in order of reacting.
CREATE TABLE reactor (
    room    INTEGER NOT NULL,
    target  INTEGER NOT NULL,
    since   INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    user_id TEXT    NOT NULL,
    PRIMARY KEY (room, target, since, seq),
    UNIQUE (room, target, since, user_id),
    FOREIGN KEY (room, target, since) REFERENCES reaction ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- How far each user has read.
CREATE TABLE mark (
    room    INTEGER NOT NULL,
    user_id TEXT    NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (room, user_id)
) STRICT, WITHOUT ROWID;
