-- A first run on a day on which the deciding list cannot be read uses another source's list until then.
ALTER TABLE runner.fund ADD COLUMN provisional BOOLEAN NOT NULL DEFAULT false;
COMMENT ON COLUMN runner.fund.provisional IS 'A source''s list named it while no list that decides had ever been read; such a list has not been read yet';
