-- How far histories reach, which days a source no longer reports, how old values are, what a cycle changed.

ALTER TABLE runner.task
    ADD COLUMN whole_first_day DATE,
    ADD COLUMN whole_since     DATE;
COMMENT ON COLUMN runner.task.whole_first_day IS 'first day of the last answer to the question for the whole history';
COMMENT ON COLUMN runner.task.whole_since IS 'date of the cycle in which the whole history first began on whole_first_day; NULL: never read whole';

ALTER TABLE runner.fund
    ADD COLUMN entered_cycle BIGINT REFERENCES runner.cycle,
    ADD COLUMN renamed_cycle BIGINT REFERENCES runner.cycle;
COMMENT ON COLUMN runner.fund.entered_cycle IS 'the cycle in which a list first called it active';
COMMENT ON COLUMN runner.fund.renamed_cycle IS 'the cycle whose list first showed its key under another code';

CREATE TABLE runner.daily_unreported (
    fund_code TEXT COLLATE "C" NOT NULL,
    nav_date  DATE NOT NULL,
    source    TEXT NOT NULL,
    cycle_id  BIGINT NOT NULL REFERENCES runner.cycle,
    PRIMARY KEY (fund_code, nav_date, source)
);
COMMENT ON TABLE runner.daily_unreported IS 'Days that a source reported once and left out of a later answer that covers them; the rows of funds_daily stay';
COMMENT ON COLUMN runner.daily_unreported.cycle_id IS 'the cycle since which it leaves the day out';

CREATE VIEW runner.unreported_day AS
    SELECT u.fund_code, u.nav_date, u.source, c.cycle_date AS since, d.nav_value, d.aum, d.bid, d.offer
    FROM runner.daily_unreported u
    JOIN runner.cycle c USING (cycle_id)
    LEFT JOIN public.funds_daily d USING (fund_code, nav_date);
COMMENT ON VIEW runner.unreported_day IS 'Days that stand in funds_daily although their source no longer reports them';

-- The rhythm of a fund is the median gap between its newest NAV days.
CREATE VIEW runner.fund_rhythm AS
    SELECT m.fund_code, series.newest_nav, series.gap_days,
           CASE WHEN series.gaps < 3 THEN NULL
                WHEN series.gap_days <= 2 THEN 'daily'
                WHEN series.gap_days <= 10 THEN 'weekly'
                WHEN series.gap_days <= 45 THEN 'monthly'
                ELSE 'rarer' END AS rhythm
    FROM public.funds_master_info m
    CROSS JOIN LATERAL (
        SELECT max(gap.nav_date) AS newest_nav, count(gap.days) AS gaps,
               percentile_disc(0.5) WITHIN GROUP (ORDER BY gap.days) AS gap_days
        FROM (SELECT day.nav_date, day.nav_date - lag(day.nav_date) OVER (ORDER BY day.nav_date) AS days
              FROM (SELECT d.nav_date FROM public.funds_daily d
                    WHERE d.fund_code = m.fund_code AND d.nav_value IS NOT NULL
                    ORDER BY d.nav_date DESC LIMIT 21) day) gap) series;
COMMENT ON VIEW runner.fund_rhythm IS 'The newest NAV date of each fund beside the usual number of days between its NAVs';

-- A market day is one on which a quarter of the active daily funds have a NAV.
CREATE VIEW runner.fund_behind AS
    WITH daily AS MATERIALIZED (
        SELECT r.fund_code, r.newest_nav FROM runner.fund_rhythm r
        JOIN public.funds_master_info m USING (fund_code)
        WHERE m.fund_status = 'active' AND r.rhythm = 'daily'),
    market AS MATERIALIZED (
        SELECT day.nav_date FROM daily
        CROSS JOIN LATERAL (
            SELECT d.nav_date FROM public.funds_daily d
            WHERE d.fund_code = daily.fund_code AND d.nav_value IS NOT NULL
            ORDER BY d.nav_date DESC LIMIT 21) day
        GROUP BY day.nav_date
        HAVING count(*) * 4 >= (SELECT count(*) FROM daily))
    SELECT daily.fund_code, daily.newest_nav, late.market_days
    FROM daily
    CROSS JOIN LATERAL (
        SELECT count(*) AS market_days FROM market WHERE market.nav_date > daily.newest_nav) late
    WHERE late.market_days >= 5;
COMMENT ON VIEW runner.fund_behind IS 'Active daily funds without a NAV of the last five or more days on which the market has one';

CREATE OR REPLACE VIEW runner.fund_freshness AS
    SELECT page.*, r.newest_nav, r.rhythm
    FROM (
        SELECT t.key AS fund_code, t.source, t.page, t.last_answer_at, t.outcome, t.failure
        FROM runner.task t
        JOIN public.funds_master_info m ON m.fund_code = t.key
        WHERE t.page <> 'filter'
        UNION ALL
        SELECT f.fund_code, n.source, 'filter', n.told_at, 'done', NULL
        FROM runner.news n
        JOIN runner.fund f USING (fund_id)) page
    LEFT JOIN runner.fund_rhythm r USING (fund_code);
COMMENT ON VIEW runner.fund_freshness IS 'When each source last confirmed each page of a fund, beside its newest NAV date and rhythm';

CREATE OR REPLACE VIEW runner.conflict AS
    SELECT d.fund_code, 'funds_daily' AS table_name, d.nav_date::text AS key, said.field, d.source,
           said.value::text AS says, said.stands::text AS stands, d.cycle_id
    FROM runner.daily_dissent d
    JOIN public.funds_daily s USING (fund_code, nav_date)
    CROSS JOIN LATERAL (VALUES
        ('nav_value', d.nav_value, s.nav_value), ('aum', d.aum, s.aum),
        ('bid', d.bid, s.bid), ('offer', d.offer, s.offer)) AS said (field, value, stands)
    WHERE said.value IS NOT NULL
    UNION ALL
    SELECT f.fund_code, t.table_name, '', said.field, o.source, said.value,
           t.standing ->> said.field, o.cycle_id
    FROM runner.observation o
    JOIN runner.fund f USING (fund_id)
    JOIN LATERAL (
        SELECT 'funds_master_info' AS table_name, to_jsonb(m) AS standing
        FROM public.funds_master_info m
        WHERE m.fund_code = f.fund_code AND o.dataset IN ('master', 'listing')
        UNION ALL
        SELECT 'funds_fee', to_jsonb(e) FROM public.funds_fee e
        WHERE e.fund_code = f.fund_code AND o.dataset IN ('fees', 'minimums')
        UNION ALL
        SELECT 'funds_statistics', to_jsonb(s) FROM public.funds_statistics s
        WHERE s.fund_code = f.fund_code AND o.dataset = 'statistics'
    ) t ON true
    CROSS JOIN LATERAL jsonb_each_text(o.fields) AS said (field, value)
    WHERE t.standing ->> said.field IS DISTINCT FROM said.value AND t.standing ? said.field;
COMMENT ON COLUMN runner.conflict.cycle_id IS 'the cycle in which the source last changed what it says';
