-- The array that a job is in; its id is that of its first job, whose name here is the array's.
ALTER TABLE workloads ADD COLUMN array BLOB;
CREATE INDEX workloads_by_array ON workloads (array, id) WHERE array IS NOT NULL;
CREATE INDEX workloads_by_array_state ON workloads (array, state) WHERE array IS NOT NULL;
CREATE INDEX workloads_heads ON workloads (project, id) WHERE array = id;
