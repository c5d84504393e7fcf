CREATE TABLE tokens (
    id        TEXT   NOT NULL PRIMARY KEY,
    name      TEXT   NOT NULL UNIQUE,
    person    TEXT   NOT NULL,
    hash      TEXT   NOT NULL UNIQUE, -- SHA-256 of the token, hex
    ceiling   TEXT   NOT NULL,        -- a role, or '' for no limit
    toolsets  TEXT   NOT NULL,        -- JSON, null for no limit
    created   BIGINT NOT NULL,
    last_used BIGINT NOT NULL,
    revoked   BIGINT NOT NULL
);

CREATE TABLE pages (
    id       TEXT   NOT NULL PRIMARY KEY,
    approval TEXT   NOT NULL,
    slot     TEXT   NOT NULL,
    kind     TEXT   NOT NULL CHECK (kind IN ('in', 'out')),
    link     TEXT   NOT NULL UNIQUE, -- hash, hex
    code     TEXT   NOT NULL,        -- hash, hex
    person   TEXT   NOT NULL,
    created  BIGINT NOT NULL,
    expires  BIGINT NOT NULL,
    used     BIGINT NOT NULL,
    tries    BIGINT NOT NULL
);
CREATE INDEX pages_by_approval ON pages (approval);
