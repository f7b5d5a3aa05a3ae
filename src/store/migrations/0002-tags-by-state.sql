-- A tag and a state together are one range of an index: each alone may lead to many jobs, both to none.
ALTER TABLE workload_tags ADD COLUMN state INTEGER NOT NULL DEFAULT 0;
UPDATE workload_tags SET state = (SELECT w.state FROM workloads w WHERE w.id = workload_tags.workload);
CREATE INDEX workload_tags_by_state ON workload_tags (project, tag, value, state, workload);
CREATE INDEX workload_tags_any_by_state ON workload_tags (project, tag, state, workload);
