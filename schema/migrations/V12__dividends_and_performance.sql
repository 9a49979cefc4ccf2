-- Two more tables of the current state, and three more columns of funds_master_info.
DO $$
DECLARE
    name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY['funds_dividends', 'funds_performance'] LOOP
        IF to_regclass('public.' || name) IS NOT NULL THEN
            RAISE EXCEPTION 'public.% exists and is not the runner''s; rename it: ALTER TABLE public.% RENAME TO %_old', name, name, name;
        END IF;
    END LOOP;
END $$;

CREATE TABLE public.funds_dividends (
    fund_code  TEXT COLLATE "C" NOT NULL
               REFERENCES public.funds_master_info (fund_code) ON DELETE RESTRICT,
    xd_date    DATE NOT NULL,
    pay_date   DATE,
    value      NUMERIC,
    source     TEXT,
    source_url TEXT,
    scraped_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (fund_code, xd_date)
);
COMMENT ON TABLE public.funds_dividends IS 'Dividends by XD date; a row is never removed';
COMMENT ON COLUMN public.funds_dividends.xd_date IS 'from this day on, a buyer of units does not receive the dividend';
COMMENT ON COLUMN public.funds_dividends.value IS 'per unit, in the fund''s currency';
COMMENT ON COLUMN public.funds_dividends.source IS 'the first source in rank that reports the dividend';

CREATE TABLE public.funds_performance (
    fund_code    TEXT COLLATE "C" NOT NULL
                 REFERENCES public.funds_master_info (fund_code) ON DELETE RESTRICT,
    as_of_date   DATE NOT NULL,
    period       TEXT COLLATE "C" NOT NULL,
    fund         NUMERIC,
    benchmark    NUMERIC,
    peer_average NUMERIC,
    volatility   NUMERIC,
    source       TEXT,
    source_url   TEXT,
    scraped_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (fund_code, as_of_date, period)
);
COMMENT ON TABLE public.funds_performance IS 'Returns and volatility in percent, by as-of date and period; a row is never removed';
COMMENT ON COLUMN public.funds_performance.period IS 'the source''s word for the period, such as 1 year';
COMMENT ON COLUMN public.funds_performance.fund IS 'return of the fund';
COMMENT ON COLUMN public.funds_performance.benchmark IS 'return of the benchmark';
COMMENT ON COLUMN public.funds_performance.peer_average IS 'average return of the peer group';
COMMENT ON COLUMN public.funds_performance.volatility IS 'volatility of the fund';

-- The adoption of an older warehouse adds declared columns before the migrations.
ALTER TABLE public.funds_master_info
    ADD COLUMN IF NOT EXISTS fund_tax_type      TEXT,
    ADD COLUMN IF NOT EXISTS feeder_master_fund TEXT,
    ADD COLUMN IF NOT EXISTS management_style   TEXT;
COMMENT ON COLUMN public.funds_master_info.fund_tax_type IS 'RMF, SSF, TESG, TESGX or LTF; NULL without a tax privilege';
COMMENT ON COLUMN public.funds_master_info.feeder_master_fund IS 'name of the master fund of a feeder fund';
COMMENT ON COLUMN public.funds_master_info.management_style IS 'the register''s word for the management style';

COMMENT ON COLUMN history.change.key IS 'the NAV date, XD date, code type, or as-of date and period; empty for tables with one row per fund';
