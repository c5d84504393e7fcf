CREATE TABLE audit (
    seq       BIGINT NOT NULL PRIMARY KEY,
    at        BIGINT NOT NULL,
    event     TEXT   NOT NULL,
    operation TEXT   NOT NULL,
    server    TEXT   NOT NULL,
    person    TEXT   NOT NULL,
    approval  TEXT   NOT NULL,
    record    TEXT   NOT NULL, -- the bytes that mac is over; the columns above are copies to search by
    mac       TEXT   NOT NULL
);
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_approval ON audit (approval, seq);

-- Against mistakes, not against whoever can edit the file: that is what the
-- chain is for. The one for INSERT also stops INSERT OR REPLACE.
CREATE TRIGGER audit_is_next BEFORE INSERT ON audit
WHEN NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only: a record goes to its end');
END;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only: no record changes');
END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only: no record goes');
END;
