-- Lists show an array as one: those by state look for jobs of their own here, and for arrays among their heads.
DROP INDEX workloads_by_state;
CREATE INDEX workloads_by_state ON workloads (project, state, id) WHERE array IS NULL;
