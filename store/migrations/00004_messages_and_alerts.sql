CREATE TABLE messages (
    channel  TEXT   NOT NULL,
    ts       TEXT   NOT NULL,
    kind     TEXT   NOT NULL CHECK (kind IN ('approval', 'alert', 'run')),
    subject  TEXT   NOT NULL, -- ID of the request, key of the alert, task of the run
    state    TEXT   NOT NULL, -- what the message shows
    posted   BIGINT NOT NULL,
    repaired BIGINT NOT NULL,
    PRIMARY KEY (channel, ts)
);
CREATE INDEX messages_by_subject ON messages (kind, subject);

CREATE TABLE alerts (
    problem     TEXT   NOT NULL PRIMARY KEY,
    severity    TEXT   NOT NULL,
    server      TEXT   NOT NULL,
    backup      TEXT   NOT NULL,
    summary     TEXT   NOT NULL,
    since       BIGINT NOT NULL,
    last_seen   BIGINT NOT NULL,
    muted_until BIGINT NOT NULL,
    resolved    BIGINT NOT NULL
);
CREATE INDEX alerts_by_server ON alerts (server) WHERE resolved = 0;
