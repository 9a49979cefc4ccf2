-- The names of one fund: links between its codes, and its NAVs through all of them.
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
-- fund, and one on nav_date reaches the index of funds_daily.
CREATE VIEW public.fund_nav_through_names AS
SELECT m.fund_code, days.nav_date, days.nav_value, days.bid, days.offer, days.aum, days.stored_under
FROM public.funds_master_info m
CROSS JOIN LATERAL (
    WITH RECURSIVE names (name, age) AS (
        SELECT m.fund_code, 0
        UNION ALL
        SELECT l.old_code, names.age + 1
        FROM names JOIN runner.fund_lineage l ON l.new_code = names.name AND l.is_certain
    )
    SELECT DISTINCT ON (d.nav_date)
        d.nav_date, d.nav_value, d.bid, d.offer, d.aum, d.fund_code AS stored_under
    FROM names JOIN public.funds_daily d ON d.fund_code = names.name
    ORDER BY d.nav_date, names.age
) days
WHERE NOT EXISTS (SELECT FROM runner.fund_lineage l WHERE l.old_code = m.fund_code AND l.is_certain);
COMMENT ON VIEW public.fund_nav_through_names IS 'The days of each fund under its current code, with those that are stored under its earlier codes; a day that two names have is that of the newer name';
COMMENT ON COLUMN public.fund_nav_through_names.fund_code IS 'the current code: one without a certain successor';
COMMENT ON COLUMN public.fund_nav_through_names.stored_under IS 'the code of the row in funds_daily';
