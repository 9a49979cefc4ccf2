-- Changes of data that a command asks for while a runner holds the database: the holder applies them.
CREATE TABLE runner.request (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    requested_by TEXT NOT NULL,
    requested_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    command      TEXT NOT NULL,
    arguments    JSONB NOT NULL DEFAULT '{}',
    state        TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'refused', 'failed')),
    answered_at  TIMESTAMPTZ,
    answer       TEXT,
    CHECK ((state = 'waiting') = (answered_at IS NULL)),
    CHECK ((state = 'waiting') = (answer IS NULL))
);
COMMENT ON TABLE runner.request IS 'Changes of data that commands asked for; the session that holds the runner''s lock applies them in the order of id';
COMMENT ON COLUMN runner.request.requested_by IS 'user, host, process and its start: no two processes write the same';
COMMENT ON COLUMN runner.request.command IS 'the command of master_runner';
COMMENT ON COLUMN runner.request.arguments IS 'its arguments by name';
COMMENT ON COLUMN runner.request.state IS 'done: applied in the transaction that wrote this; refused: not a request that this version knows, or not applicable; failed: the database refused it, nothing was changed';
COMMENT ON COLUMN runner.request.answer IS 'one sentence for the person who asked';
CREATE INDEX request_waiting ON runner.request (id) WHERE state = 'waiting';

CREATE TABLE runner.source_reset (
    source       TEXT PRIMARY KEY,
    requested_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
COMMENT ON TABLE runner.source_reset IS 'Sources that were reset while a cycle was open: what is known of their pages is forgotten when no cycle is open, so that the open one keeps its plan';
