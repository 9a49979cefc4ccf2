-- The names of one fund: links between its codes, and its NAVs through all of them. Contradictions about dividends and
-- performance.
DO $$
BEGIN
    IF to_regclass('public.fund_nav_through_names') IS NOT NULL THEN
        RAISE EXCEPTION 'public.fund_nav_through_names exists and is not the runner''s; rename it: ALTER TABLE public.fund_nav_through_names RENAME TO fund_nav_through_names_old';
    END IF;
END $$;

CREATE TABLE runner.fund_lineage (
    old_code   TEXT COLLATE "C" NOT NULL,
    new_code   TEXT COLLATE "C" NOT NULL,
    rule       TEXT NOT NULL CHECK (rule IN ('finnomena_id', 'isin', 'hand_over')),
    is_certain BOOLEAN NOT NULL,
    evidence   JSONB NOT NULL,
    cycle_id   BIGINT NOT NULL REFERENCES runner.cycle,
    PRIMARY KEY (old_code, new_code),
    CHECK (old_code <> new_code),
    CHECK (NOT (is_certain AND rule = 'hand_over'))
);
COMMENT ON TABLE runner.fund_lineage IS 'A fund''s old code and its next one, as the facts of the last closed full cycle show it; a link that is no longer true is deleted';
COMMENT ON COLUMN runner.fund_lineage.rule IS 'the strongest rule that found the link';
COMMENT ON COLUMN runner.fund_lineage.is_certain IS 'false: a proposal, which no view follows';
COMMENT ON COLUMN runner.fund_lineage.evidence IS 'the values that the link is founded on, and the rivals of both codes';
COMMENT ON COLUMN runner.fund_lineage.cycle_id IS 'the cycle that found it by this rule, with this certainty';

-- A code has at most one certain neighbour on each side.
CREATE UNIQUE INDEX fund_lineage_successor ON runner.fund_lineage (old_code) WHERE is_certain;
CREATE UNIQUE INDEX fund_lineage_predecessor ON runner.fund_lineage (new_code) WHERE is_certain;

-- The recursion goes over the links of one fund and is inside LATERAL: a condition on fund_code restricts it to that
-- fund, and one on nav_date reaches the index of funds_daily. The names are an array, because the planner expects a
-- hundred rows of a recursive query, and would read the whole of funds_daily for them.
CREATE VIEW public.fund_nav_through_names AS
SELECT m.fund_code, days.nav_date, days.nav_value, days.bid, days.offer, days.aum, days.stored_under
FROM public.funds_master_info m
CROSS JOIN LATERAL (
    WITH RECURSIVE older (name, age) AS (
        SELECT m.fund_code, 0
        UNION ALL
        SELECT l.old_code, older.age + 1
        FROM older JOIN runner.fund_lineage l ON l.new_code = older.name AND l.is_certain
    )
    SELECT array_agg(older.name ORDER BY older.age) AS names FROM older
) fund
CROSS JOIN LATERAL (
    SELECT DISTINCT ON (d.nav_date)
        d.nav_date, d.nav_value, d.bid, d.offer, d.aum, d.fund_code AS stored_under
    FROM public.funds_daily d
    WHERE d.fund_code = ANY (fund.names)
    ORDER BY d.nav_date, array_position(fund.names, d.fund_code)
) days
WHERE NOT EXISTS (SELECT FROM runner.fund_lineage l WHERE l.old_code = m.fund_code AND l.is_certain);
COMMENT ON VIEW public.fund_nav_through_names IS 'The days of each fund under its current code, with those that are stored under its earlier codes; a day that two names have is that of the newer name';
COMMENT ON COLUMN public.fund_nav_through_names.fund_code IS 'the current code: one without a certain successor';
COMMENT ON COLUMN public.fund_nav_through_names.stored_under IS 'the code of the row in funds_daily';

-- The dividends and the performance of a source are rows of one observation, by date and period. A row that another
-- source lacks is no contradiction. The values of a row are those of its source, so that source is not compared.
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
    WHERE t.standing ->> said.field IS DISTINCT FROM said.value AND t.standing ? said.field
    UNION ALL
    SELECT f.fund_code, t.table_name, concat_ws(' ', said_row.entry ->> 'date', said_row.entry ->> 'word'), said.field,
           o.source, said.value, t.standing ->> said.field, o.cycle_id
    FROM runner.observation o
    JOIN runner.fund f USING (fund_id)
    CROSS JOIN LATERAL jsonb_array_elements(o.fields -> 'rows') AS said_row (entry)
    JOIN LATERAL (
        SELECT 'funds_dividends' AS table_name, to_jsonb(d) AS standing
        FROM public.funds_dividends d
        WHERE o.dataset = 'dividends' AND d.fund_code = f.fund_code
          AND d.xd_date = (said_row.entry ->> 'date')::date AND d.source IS DISTINCT FROM o.source
        UNION ALL
        SELECT 'funds_performance', to_jsonb(p)
        FROM public.funds_performance p
        WHERE o.dataset = 'performance' AND p.fund_code = f.fund_code
          AND p.as_of_date = (said_row.entry ->> 'date')::date AND p.period = said_row.entry ->> 'word'
          AND p.source IS DISTINCT FROM o.source
    ) t ON true
    CROSS JOIN LATERAL jsonb_each_text(said_row.entry -> 'fields') AS said (field, value)
    WHERE o.dataset IN ('dividends', 'performance') AND t.standing ->> said.field IS DISTINCT FROM said.value;
