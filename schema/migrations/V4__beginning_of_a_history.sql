-- A page that tells a history grows at its end. Of a payload that begins as it did when it was read before, only what lies
-- beyond is read.
ALTER TABLE runner.task
    ADD COLUMN beginning_bytes INTEGER CHECK (beginning_bytes > 0),
    ADD COLUMN beginning_hash  BYTEA,
    ADD COLUMN beginning_until DATE,
    ADD CHECK (num_nulls(beginning_bytes, beginning_hash, beginning_until) IN (0, 3));
COMMENT ON COLUMN runner.task.beginning_bytes IS 'how many bytes of the last whole history need not be read again while they stay the same; forgotten with payload_hash';
COMMENT ON COLUMN runner.task.beginning_hash IS 'over these bytes, page, key, locator, extent and parser version';
COMMENT ON COLUMN runner.task.beginning_until IS 'the last day they speak of; another answer that speaks of a day until then makes them be forgotten';
