CREATE TABLE deliveries (
    id       TEXT   NOT NULL PRIMARY KEY,
    answered BIGINT NOT NULL CHECK (answered IN (0, 1)),
    answer   TEXT   NOT NULL,
    expires  BIGINT NOT NULL
);
CREATE INDEX deliveries_by_end ON deliveries (expires);

CREATE TABLE notes (
    name    TEXT   NOT NULL PRIMARY KEY,
    value   TEXT   NOT NULL,
    updated BIGINT NOT NULL
);
