-- Every task of a cycle is planned once and acknowledged once. With room beside it, the acknowledged version stands on the
-- page of the planned one, and no index is written for it.
ALTER TABLE runner.task SET (fillfactor = 50);
