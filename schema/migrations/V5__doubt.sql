-- A whole market does not change at one stroke. Changes that would be a mass change if many funds showed them are kept
-- aside until the round ends; then they are applied together or refused together.

ALTER TABLE runner.task DROP CONSTRAINT task_outcome_check;
ALTER TABLE runner.task ADD CONSTRAINT task_outcome_check
    CHECK (outcome IN ('done', 'unchanged', 'absent', 'failed', 'deferred', 'held'));
COMMENT ON COLUMN runner.task.outcome IS
    'how it ended in its planned cycle; held: its answer, or a part of it, waits in runner.doubt until the round is judged';

ALTER TABLE runner.task
    ADD COLUMN valued_since BIGINT REFERENCES runner.cycle,
    ADD COLUMN series_hash  BYTEA;
UPDATE runner.task SET valued_since = answered_cycle WHERE answered_outcome IN ('done', 'unchanged');
COMMENT ON COLUMN runner.task.valued_since IS
    'the cycle since which the source reports values on this page; NULL while it reports none';
COMMENT ON COLUMN runner.task.series_hash IS
    'SHA-256 over the newest days of the NAV series in the last answer: two funds with one series are suspect';

CREATE TABLE runner.breach (
    breach_id    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cycle_id     BIGINT NOT NULL REFERENCES runner.cycle,
    source       TEXT NOT NULL,
    page         TEXT NOT NULL,
    kind         TEXT NOT NULL,
    asked        BIGINT NOT NULL,
    affected     BIGINT NOT NULL,
    usual_permille BIGINT,
    limit_permille BIGINT NOT NULL,
    message      TEXT NOT NULL,
    state        TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'accepted', 'over')),
    accepted_by  TEXT,
    taken_cycle  BIGINT REFERENCES runner.cycle,
    reported     BOOLEAN NOT NULL DEFAULT false,
    found_at     TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (cycle_id, source, page, kind)
);
COMMENT ON TABLE runner.breach IS 'Changes of a whole market at one stroke that were not believed';
COMMENT ON COLUMN runner.breach.kind IS
    'absent, settled, equal, zeroed, names, codes, shortened, status, renamed, without_news, all_absent, all_zero';
COMMENT ON COLUMN runner.breach.asked IS 'funds that were asked for on this page in the cycle';
COMMENT ON COLUMN runner.breach.affected IS 'funds whose answer shows the change';
COMMENT ON COLUMN runner.breach.usual_permille IS
    'the largest share of the 30 days before, per thousand; NULL if no cycle was measured';
COMMENT ON COLUMN runner.breach.state IS
    'open: not believed; accepted: the next cycle takes the change; over: the same cycle did not find it again';
COMMENT ON COLUMN runner.breach.accepted_by IS 'operator, repetition (three cycles of different dates) or second source';
COMMENT ON COLUMN runner.breach.taken_cycle IS 'the cycle that took the accepted change';
COMMENT ON COLUMN runner.breach.reported IS 'whether a log line has reported its present state';

CREATE TABLE runner.doubt (
    cycle_id  BIGINT NOT NULL REFERENCES runner.cycle,
    source    TEXT NOT NULL,
    page      TEXT NOT NULL,
    key       TEXT COLLATE "C" NOT NULL,
    fund_code TEXT COLLATE "C" NOT NULL,
    kind      TEXT NOT NULL,
    evidence  JSONB NOT NULL,
    answer    JSONB,
    breach_id BIGINT REFERENCES runner.breach,
    PRIMARY KEY (cycle_id, source, page, key, fund_code, kind)
);
CREATE INDEX ON runner.doubt (breach_id);
COMMENT ON TABLE runner.doubt IS
    'What waits to be judged at the end of the round, one row a fund and kind; with a breach_id: what was not believed';
COMMENT ON COLUMN runner.doubt.key IS 'the key of the task whose answer shows it';
COMMENT ON COLUMN runner.doubt.evidence IS 'the new values, bounded: by them the same change is recognised in another cycle';
COMMENT ON COLUMN runner.doubt.answer IS
    'the part of the answer that waits; NULL if it was refused, or if so many wait that it is asked for again';

CREATE TABLE runner.change_share (
    cycle_id BIGINT NOT NULL REFERENCES runner.cycle,
    source   TEXT NOT NULL,
    page     TEXT NOT NULL,
    kind     TEXT NOT NULL,
    asked    BIGINT NOT NULL,
    affected BIGINT NOT NULL,
    believed BOOLEAN NOT NULL,
    PRIMARY KEY (cycle_id, source, page, kind)
);
COMMENT ON TABLE runner.change_share IS
    'How many of the funds asked showed each kind of change, by cycle; no row means none did';
