-- The constraint that refuses a task's answer: asking the task again cannot help while the constraint exists.
ALTER TABLE runner.task ADD COLUMN refused_by TEXT;
COMMENT ON COLUMN runner.task.refused_by IS 'The constraint of the database that refused the answer of this task; empty where none did';
