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
