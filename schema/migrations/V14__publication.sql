-- How late the official register usually publishes the NAV of a class. It decides which projects are requested by
-- themselves, because the lists of the market reach back only a few days.
CREATE TABLE runner.publication (
    fund_id  BIGINT PRIMARY KEY REFERENCES runner.fund,
    newest   DATE NOT NULL,
    cycle_id BIGINT NOT NULL REFERENCES runner.cycle,
    lags     SMALLINT[] NOT NULL
);
COMMENT ON TABLE runner.publication IS 'How late the official register publishes the NAVs of a fund';
COMMENT ON COLUMN runner.publication.newest IS 'The newest NAV date that the register reported';
COMMENT ON COLUMN runner.publication.cycle_id IS 'The cycle in which it reported that date for the first time';
COMMENT ON COLUMN runner.publication.lags IS 'Days from the newest NAV date to the date of the cycle, for each of the last five cycles that brought a newer one; the newest last';
