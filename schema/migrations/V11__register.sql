-- A list with cursors is one task that is acknowledged page by page.
ALTER TABLE runner.task ADD COLUMN chain JSONB;
COMMENT ON COLUMN runner.task.chain IS 'The next page of a list that was read in part: its cursor, the number of pages read, and a hash of each cursor so far; empty for every other task';

-- What a source reports under a key of its own that leads to no fund, or to several.
CREATE TABLE runner.unmatched (
    source      TEXT NOT NULL,
    source_key  TEXT COLLATE "C" NOT NULL,
    page        TEXT NOT NULL,
    reason      TEXT NOT NULL,
    candidates  TEXT[] NOT NULL DEFAULT '{}',
    first_cycle BIGINT NOT NULL REFERENCES runner.cycle,
    last_cycle  BIGINT NOT NULL REFERENCES runner.cycle,
    PRIMARY KEY (source, source_key, page)
);
COMMENT ON TABLE runner.unmatched IS 'Statements under a key of a source that leads to no known fund or to several; nothing of them is stored';

ALTER TABLE runner.fund ADD COLUMN register_status TEXT;
COMMENT ON COLUMN runner.fund.register_status IS 'The word of the official register for the status of the share class, from its last list that was read to the end';
