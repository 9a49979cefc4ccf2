-- The warehouse: seven tables of the current state, what the runner remembers, what was before.
-- The seven tables may already stand: an older warehouse is brought to exactly these columns first (store/adoption.rs).

CREATE TABLE IF NOT EXISTS public.funds_master_info (
    fund_code      TEXT COLLATE "C" PRIMARY KEY,
    full_name_th   TEXT,
    full_name_en   TEXT,
    amc            TEXT,
    category       TEXT,
    risk_level     INTEGER,
    is_dividend    TEXT,
    inception_date DATE,
    currency       TEXT,
    country        TEXT,
    fund_status    TEXT DEFAULT 'active',
    source_url     TEXT,
    scraped_at     TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS public.funds_daily (
    fund_code  TEXT COLLATE "C" NOT NULL
               REFERENCES public.funds_master_info (fund_code) ON DELETE RESTRICT,
    nav_date   DATE NOT NULL,
    nav_value  NUMERIC,
    bid        NUMERIC,
    offer      NUMERIC,
    aum        NUMERIC,
    source     TEXT,
    scraped_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (fund_code, nav_date)
);
-- Rows that stand here now are an older warehouse's: said by `adopted` (bit 8). A bit of a cell that is NULL means
-- nothing, so one constant serves all of them without rewriting the table.
ALTER TABLE public.funds_daily
    ADD COLUMN nav_said_by   SMALLINT NOT NULL DEFAULT 8,
    ADD COLUMN aum_said_by   SMALLINT NOT NULL DEFAULT 8,
    ADD COLUMN bid_said_by   SMALLINT NOT NULL DEFAULT 8,
    ADD COLUMN offer_said_by SMALLINT NOT NULL DEFAULT 8,
    ADD COLUMN cycle_id      BIGINT;
ALTER TABLE public.funds_daily
    ALTER COLUMN nav_said_by   SET DEFAULT 0,
    ALTER COLUMN aum_said_by   SET DEFAULT 0,
    ALTER COLUMN bid_said_by   SET DEFAULT 0,
    ALTER COLUMN offer_said_by SET DEFAULT 0;

CREATE TABLE IF NOT EXISTS public.funds_statistics (
    fund_code         TEXT COLLATE "C" PRIMARY KEY
                      REFERENCES public.funds_master_info (fund_code) ON DELETE RESTRICT,
    as_of_date        DATE,
    sharpe_ratio      NUMERIC,
    alpha             NUMERIC,
    beta              NUMERIC,
    max_drawdown      NUMERIC,
    recovering_period INTEGER,
    tracking_error    NUMERIC,
    turnover_ratio    NUMERIC,
    fx_hedging        NUMERIC,
    sec_url           TEXT,
    scraped_at        TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS public.funds_fee (
    fund_code            TEXT COLLATE "C" PRIMARY KEY
                         REFERENCES public.funds_master_info (fund_code) ON DELETE RESTRICT,
    front_end_max        NUMERIC,
    front_end_actual     NUMERIC,
    back_end_max         NUMERIC,
    back_end_actual      NUMERIC,
    management_max       NUMERIC,
    management_actual    NUMERIC,
    ter_max              NUMERIC,
    ter_actual           NUMERIC,
    switching_in_max     NUMERIC,
    switching_in_actual  NUMERIC,
    switching_out_max    NUMERIC,
    switching_out_actual NUMERIC,
    min_initial_buy      NUMERIC,
    min_next_buy         NUMERIC,
    source_url           TEXT,
    scraped_at           TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS public.funds_holding (
    fund_code    TEXT COLLATE "C" NOT NULL
                 REFERENCES public.funds_master_info (fund_code) ON DELETE RESTRICT,
    source       TEXT COLLATE "C" NOT NULL,
    holding_type TEXT COLLATE "C" NOT NULL,
    row_no       INTEGER NOT NULL,
    name         TEXT,
    type         TEXT,
    percent      NUMERIC,
    as_of_date   DATE,
    source_url   TEXT,
    scraped_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (fund_code, source, holding_type, row_no)
);

CREATE TABLE IF NOT EXISTS public.funds_allocations (
    fund_code  TEXT COLLATE "C" NOT NULL
               REFERENCES public.funds_master_info (fund_code) ON DELETE RESTRICT,
    source     TEXT COLLATE "C" NOT NULL,
    type       TEXT COLLATE "C" NOT NULL,
    row_no     INTEGER NOT NULL,
    name       TEXT,
    percent    NUMERIC,
    as_of_date DATE,
    source_url TEXT,
    scraped_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (fund_code, source, type, row_no)
);

CREATE TABLE IF NOT EXISTS public.funds_codes (
    fund_code     TEXT COLLATE "C" NOT NULL
                  REFERENCES public.funds_master_info (fund_code) ON DELETE RESTRICT,
    type          TEXT COLLATE "C" NOT NULL,
    code          TEXT COLLATE "C" NOT NULL,
    factsheet_url TEXT,
    scraped_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (fund_code, type, code)
);

COMMENT ON TABLE public.funds_master_info IS 'One row a share class: names, company, category, status';
COMMENT ON COLUMN public.funds_master_info.fund_status IS 'active or inactive, by Finnomena''s whole list';
COMMENT ON COLUMN public.funds_master_info.scraped_at IS 'when the row last changed; confirmed: runner.fund_freshness';
COMMENT ON TABLE public.funds_daily IS 'NAV, AUM, bid and offer by NAV date, in the fund''s currency';
COMMENT ON COLUMN public.funds_daily.source IS 'the source whose NAV stands here; without a NAV, that of the prices, else of the AUM';
COMMENT ON COLUMN public.funds_daily.nav_said_by IS 'sources that said exactly this NAV: 1 finnomena, 2 wealthmagik, 4 sec_fundcheck, 8 adopted';
COMMENT ON COLUMN public.funds_daily.aum_said_by IS 'sources that said exactly this AUM';
COMMENT ON COLUMN public.funds_daily.bid_said_by IS 'sources that said exactly this bid';
COMMENT ON COLUMN public.funds_daily.offer_said_by IS 'sources that said exactly this offer';
COMMENT ON COLUMN public.funds_daily.cycle_id IS 'the cycle in which the row last changed';
COMMENT ON TABLE public.funds_statistics IS 'Risk statistics as the SEC publishes them';
COMMENT ON TABLE public.funds_fee IS 'Fees in percent, minimum purchases in baht; _max is the cap, _actual what is charged';
COMMENT ON TABLE public.funds_holding IS 'Holdings, one portfolio a source side by side: top5 or full';
COMMENT ON COLUMN public.funds_holding.row_no IS 'place on the page, from 1';
COMMENT ON TABLE public.funds_allocations IS 'Allocations, one portfolio a source side by side: asset_alloc, sector_alloc, country_alloc';
COMMENT ON COLUMN public.funds_allocations.row_no IS 'place on the page, from 1';
COMMENT ON TABLE public.funds_codes IS 'ISIN and Bloomberg codes as factsheets print them';

CREATE SCHEMA IF NOT EXISTS history;

CREATE TABLE runner.cycle (
    cycle_id   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cycle_date DATE NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('daily', 'monthly')),
    scope      TEXT NOT NULL CHECK (scope IN ('full', 'partial')),
    state      TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed', 'abandoned')),
    round      SMALLINT NOT NULL DEFAULT 1,
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    closed_at  TIMESTAMPTZ,
    status_changes BIGINT NOT NULL DEFAULT 0
);
COMMENT ON TABLE runner.cycle IS 'One pass over the market, named by the Bangkok date on which it began';

CREATE TABLE runner.cycle_count (
    cycle_id      BIGINT NOT NULL REFERENCES runner.cycle,
    table_name    TEXT NOT NULL,
    observed      BIGINT NOT NULL,
    inserted      BIGINT NOT NULL,
    updated       BIGINT NOT NULL,
    unchanged     BIGINT NOT NULL,
    superseded    BIGINT NOT NULL,
    rejected      BIGINT NOT NULL,
    unreadable    BIGINT NOT NULL,
    rows_inserted BIGINT NOT NULL,
    rows_updated  BIGINT NOT NULL,
    PRIMARY KEY (cycle_id, table_name)
);
COMMENT ON TABLE runner.cycle_count IS 'What became of the records of a cycle, by table: observed = inserted + updated + unchanged + superseded + rejected';

CREATE TABLE runner.cycle_task_count (
    cycle_id  BIGINT NOT NULL REFERENCES runner.cycle,
    source    TEXT NOT NULL,
    planned   BIGINT NOT NULL,
    done      BIGINT NOT NULL,
    unchanged BIGINT NOT NULL,
    absent    BIGINT NOT NULL,
    failed    BIGINT NOT NULL,
    PRIMARY KEY (cycle_id, source)
);
COMMENT ON TABLE runner.cycle_task_count IS 'How the tasks of a closed cycle ended, by source: planned = done + unchanged + absent + failed';

CREATE TABLE runner.fund (
    fund_id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fund_code        TEXT COLLATE "C" NOT NULL UNIQUE,
    in_universe      BOOLEAN NOT NULL DEFAULT false,
    listed_cycle     BIGINT REFERENCES runner.cycle,
    list_says_active BOOLEAN,
    renamed          BOOLEAN NOT NULL DEFAULT false,
    absent_on        DATE[] NOT NULL DEFAULT '{}',
    first_seen       TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_seen        TIMESTAMPTZ NOT NULL DEFAULT now()
);
COMMENT ON TABLE runner.fund IS 'Every share class any source ever named';
COMMENT ON COLUMN runner.fund.in_universe IS 'Finnomena''s list once said it is active, or it was adopted: it has rows in the seven tables';
COMMENT ON COLUMN runner.fund.listed_cycle IS 'the last full cycle whose Finnomena list held it';
COMMENT ON COLUMN runner.fund.absent_on IS 'dates of the closed full cycles whose list did not hold it, since it was last listed';

CREATE TABLE runner.alias (
    source      TEXT NOT NULL,
    source_key  TEXT COLLATE "C" NOT NULL,
    fund_id     BIGINT NOT NULL REFERENCES runner.fund,
    first_cycle BIGINT NOT NULL REFERENCES runner.cycle,
    last_cycle  BIGINT NOT NULL REFERENCES runner.cycle,
    PRIMARY KEY (source, source_key, fund_id)
);
CREATE INDEX ON runner.alias (fund_id);
COMMENT ON TABLE runner.alias IS 'A source''s own key of a fund; one key with two codes is a rename';

CREATE TABLE runner.task (
    source           TEXT NOT NULL,
    page             TEXT NOT NULL,
    key              TEXT COLLATE "C" NOT NULL,
    locator          TEXT,
    extent           TEXT,
    planned_cycle    BIGINT NOT NULL REFERENCES runner.cycle,
    acked_cycle      BIGINT REFERENCES runner.cycle,
    outcome          TEXT CHECK (outcome IN ('done', 'unchanged', 'absent', 'failed', 'deferred')),
    failure          TEXT,
    attempts         INTEGER NOT NULL DEFAULT 0,
    payload_hash     BYTEA,
    parser_version   INTEGER,
    last_answer_at   TIMESTAMPTZ,
    answered_cycle   BIGINT REFERENCES runner.cycle,
    answered_locator TEXT,
    extents          JSONB NOT NULL DEFAULT '{}',
    PRIMARY KEY (source, page, key)
);
CREATE INDEX ON runner.task (planned_cycle);
COMMENT ON TABLE runner.task IS 'One row a page for ever: checkpoint, hash store, freshness, list of failures';
COMMENT ON COLUMN runner.task.last_answer_at IS 'when the source last answered it: done, unchanged or absent';
COMMENT ON COLUMN runner.task.extents IS 'for each extent asked for, the date of the last cycle that answered it';

CREATE TABLE runner.list_size (
    source         TEXT NOT NULL,
    page           TEXT NOT NULL,
    cycle_id       BIGINT NOT NULL REFERENCES runner.cycle,
    entries        BIGINT NOT NULL,
    active_entries BIGINT NOT NULL,
    PRIMARY KEY (source, page, cycle_id)
);
COMMENT ON TABLE runner.list_size IS 'Entries of each whole list, by full cycle: the yard-stick for shrinkage';

CREATE TABLE runner.observation (
    fund_id    BIGINT NOT NULL REFERENCES runner.fund,
    source     TEXT NOT NULL,
    dataset    TEXT NOT NULL,
    as_of_date DATE,
    fields     JSONB NOT NULL,
    unsaid     JSONB NOT NULL DEFAULT '{}',
    url        TEXT NOT NULL,
    cycle_id   BIGINT REFERENCES runner.cycle,
    said_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (fund_id, source, dataset)
);
COMMENT ON TABLE runner.observation IS 'What each source says about each fund, newer folded over older, not merged';
COMMENT ON COLUMN runner.observation.unsaid IS 'fields kept from before: the cycle since which the source no longer says them';
COMMENT ON COLUMN runner.observation.cycle_id IS 'the cycle in which it last changed';

CREATE TABLE runner.daily_dissent (
    fund_code TEXT COLLATE "C" NOT NULL,
    nav_date  DATE NOT NULL,
    source    TEXT NOT NULL,
    nav_value NUMERIC,
    aum       NUMERIC,
    bid       NUMERIC,
    offer     NUMERIC,
    cycle_id  BIGINT REFERENCES runner.cycle,
    said_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (fund_code, nav_date, source)
);
COMMENT ON TABLE runner.daily_dissent IS 'What a source says of a day other than what stands in funds_daily';

CREATE TABLE runner.daily_waiting (
    fund_code TEXT COLLATE "C" NOT NULL,
    nav_date  DATE NOT NULL,
    source    TEXT NOT NULL,
    nav_value NUMERIC,
    aum       NUMERIC,
    bid       NUMERIC,
    offer     NUMERIC,
    PRIMARY KEY (fund_code, nav_date, source)
);
COMMENT ON TABLE runner.daily_waiting IS 'Days said of codes outside the universe, until a list says the code is active';

CREATE TABLE runner.rejected (
    reject_id   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cycle_id    BIGINT NOT NULL REFERENCES runner.cycle,
    source      TEXT NOT NULL,
    page        TEXT NOT NULL,
    key         TEXT NOT NULL,
    fund_code   TEXT,
    dataset     TEXT NOT NULL,
    field       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    sample      TEXT NOT NULL,
    severity    TEXT NOT NULL CHECK (severity IN ('rejected', 'noted')),
    rejected_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX ON runner.rejected (fund_code);
COMMENT ON TABLE runner.rejected IS 'Records that could not be read (rejected) or were taken with a remark (noted)';

CREATE TABLE runner.last_batch (
    only_row     BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_row),
    batch_id     TEXT NOT NULL,
    report       JSONB NOT NULL,
    committed_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
COMMENT ON TABLE runner.last_batch IS 'The last batch committed: by it a COMMIT whose answer was lost is found again';

CREATE TABLE runner.heartbeat (
    only_row   BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_row),
    runner     TEXT NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    doing      TEXT NOT NULL,
    beat_at    TIMESTAMPTZ NOT NULL DEFAULT now()
);
COMMENT ON TABLE runner.heartbeat IS 'The runner that holds this database, and its last sign of life';

CREATE TABLE history.change (
    change_id  BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cycle_id   BIGINT REFERENCES runner.cycle,
    table_name TEXT NOT NULL,
    fund_code  TEXT COLLATE "C" NOT NULL,
    key        TEXT NOT NULL,
    field      TEXT NOT NULL,
    old_value  TEXT NOT NULL,
    new_value  TEXT,
    source     TEXT,
    changed_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX ON history.change (fund_code);
COMMENT ON TABLE history.change IS 'Every present value that was replaced; key is the NAV date or the code type, else empty';
COMMENT ON COLUMN history.change.source IS 'the source whose value replaced it';

CREATE TABLE history.portfolio (
    portfolio_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cycle_id     BIGINT REFERENCES runner.cycle,
    table_name   TEXT NOT NULL,
    fund_code    TEXT COLLATE "C" NOT NULL,
    source       TEXT NOT NULL,
    type         TEXT NOT NULL,
    as_of_date   DATE,
    source_url   TEXT,
    rows         JSONB NOT NULL,
    replaced_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX ON history.portfolio (fund_code);
COMMENT ON TABLE history.portfolio IS 'Replaced portfolios, whole; type is the holding_type or the allocation type';

CREATE TABLE history.adopted (
    adopted_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name TEXT NOT NULL,
    fund_code  TEXT,
    row_before JSONB NOT NULL,
    reason     TEXT NOT NULL,
    moved_at   TIMESTAMPTZ NOT NULL DEFAULT now()
);
COMMENT ON TABLE history.adopted IS 'Rows of an older warehouse that could not stay as they stood: duplicates, codes written twice';

CREATE VIEW runner.conflict AS
    SELECT d.fund_code, 'funds_daily' AS table_name, d.nav_date::text AS key, said.field, d.source,
           said.value::text AS says, said.stands::text AS stands
    FROM runner.daily_dissent d
    JOIN public.funds_daily s USING (fund_code, nav_date)
    CROSS JOIN LATERAL (VALUES
        ('nav_value', d.nav_value, s.nav_value), ('aum', d.aum, s.aum),
        ('bid', d.bid, s.bid), ('offer', d.offer, s.offer)) AS said (field, value, stands)
    WHERE said.value IS NOT NULL
    UNION ALL
    SELECT f.fund_code, t.table_name, '', said.field, o.source, said.value,
           t.standing ->> said.field
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
COMMENT ON VIEW runner.conflict IS 'What a source says other than what stands';

CREATE VIEW runner.fund_freshness AS
    SELECT t.key AS fund_code, t.source, t.page, t.last_answer_at, t.outcome, t.failure
    FROM runner.task t
    JOIN public.funds_master_info m ON m.fund_code = t.key;
COMMENT ON VIEW runner.fund_freshness IS 'When each source last confirmed each page of a fund';
