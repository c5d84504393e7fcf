CREATE TABLE approvals (
    id        TEXT   NOT NULL PRIMARY KEY,
    number    BIGINT NOT NULL UNIQUE, -- order of creation, whatever the clock did
    same      TEXT   NOT NULL,
    requester TEXT   NOT NULL,
    asks      BIGINT NOT NULL CHECK (asks IN (0, 1)),
    state     TEXT   NOT NULL CHECK (state IN ('input', 'pending', 'approved', 'executing',
        'done', 'failed', 'unknown', 'settled', 'denied', 'expired', 'withdrawn', 'changed')),
    created   BIGINT NOT NULL,
    updated   BIGINT NOT NULL,
    request   TEXT   NOT NULL -- the whole request as JSON, without its votes
);
CREATE UNIQUE INDEX approvals_one_open ON approvals (same)
    WHERE state IN ('input', 'pending', 'approved', 'executing');
CREATE INDEX approvals_by_state ON approvals (state, number);
CREATE INDEX approvals_by_requester ON approvals (requester, created);
CREATE INDEX approvals_denied ON approvals (same, updated) WHERE state = 'denied';

CREATE TABLE votes (
    approval TEXT   NOT NULL REFERENCES approvals (id),
    person   TEXT   NOT NULL,
    number   BIGINT NOT NULL,
    vote     TEXT   NOT NULL, -- JSON
    PRIMARY KEY (approval, person)
);
