-- The close of a cycle counts the contradictions that began in it; without the index it reads every observation.
CREATE INDEX observation_cycle ON runner.observation (cycle_id);
