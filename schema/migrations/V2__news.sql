-- Who has news: Finnomena's pages about many funds tell the newest NAV of each, and the funds of which nothing new is told
-- are not asked one by one.

CREATE TABLE runner.news (
    fund_id    BIGINT NOT NULL REFERENCES runner.fund,
    source     TEXT NOT NULL,
    source_key TEXT NOT NULL,
    nav_date   DATE NOT NULL,
    nav_value  NUMERIC,
    cycle_id   BIGINT NOT NULL REFERENCES runner.cycle,
    told_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (fund_id, source)
);
COMMENT ON TABLE runner.news IS 'The newest NAV of each fund as a page about many funds told it; no table is filled from it';
COMMENT ON COLUMN runner.news.source_key IS 'the source''s own key of the fund, under which it was told';
COMMENT ON COLUMN runner.news.nav_value IS 'NULL: told in two ways in one cycle, so that nobody can go by it';
COMMENT ON COLUMN runner.news.cycle_id IS 'the cycle in which it was last told: it counts in that one alone';

ALTER TABLE runner.task ADD COLUMN answered_outcome TEXT
    CHECK (answered_outcome IN ('done', 'unchanged', 'absent'));
COMMENT ON COLUMN runner.task.answered_outcome IS 'how the source last answered it; unlike outcome it outlives the planning of the next cycle';

-- The keys of the pages of news are page numbers, not codes; what they told of a fund confirms it.
CREATE OR REPLACE VIEW runner.fund_freshness AS
    SELECT t.key AS fund_code, t.source, t.page, t.last_answer_at, t.outcome, t.failure
    FROM runner.task t
    JOIN public.funds_master_info m ON m.fund_code = t.key
    WHERE t.page <> 'filter'
    UNION ALL
    SELECT f.fund_code, n.source, 'filter', n.told_at, 'done', NULL
    FROM runner.news n
    JOIN runner.fund f USING (fund_id);
