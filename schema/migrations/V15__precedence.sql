-- The ranks that the rows were last merged by. The operator can change ranks; rows that are not touched keep the values
-- of the old rank until `master_runner remerge`.
CREATE TABLE runner.precedence (
    table_name  TEXT NOT NULL,
    column_name TEXT NOT NULL,
    rank        TEXT[] NOT NULL,
    applied_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (table_name, column_name)
);
COMMENT ON TABLE runner.precedence IS 'For each column the rank of the sources that all rows were last merged by; a changed rank is applied to all rows by master_runner remerge';
COMMENT ON COLUMN runner.precedence.column_name IS 'The column; * for a table that has one rank';
COMMENT ON COLUMN runner.precedence.rank IS 'The sources, or the sources with their datasets, the preferred one first';

-- Codes of the register's profiles and of a factsheet at the register's link are statements of one source. They are two
-- datasets, so that neither replaces the other. Until now only profiles had codes.
UPDATE public.funds_codes c SET factsheet_url = (
    SELECT sheet.code ->> 'url'
    FROM runner.observation p CROSS JOIN LATERAL jsonb_array_elements(p.fields -> 'codes') AS sheet (code)
    WHERE p.fund_id = o.fund_id AND p.dataset = 'codes' AND p.source IN ('finnomena', 'wealthmagik')
      AND sheet.code ->> 'type' = c.type AND sheet.code ->> 'code' = c.code
    ORDER BY p.source LIMIT 1)
FROM runner.observation o JOIN runner.fund f USING (fund_id)
WHERE o.source = 'sec_open_api' AND o.dataset = 'codes' AND c.fund_code = f.fund_code AND c.factsheet_url = o.url;
UPDATE runner.observation SET dataset = 'profile_codes',
    fields = jsonb_build_object('codes', ARRAY(
        SELECT code || '{"url": null}' FROM jsonb_array_elements(fields -> 'codes') AS codes (code)))
WHERE source = 'sec_open_api' AND dataset = 'codes';
