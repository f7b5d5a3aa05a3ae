-- What deleted jobs leave on their nodes and nobody has removed yet: directories of attempts and, with
-- sixteen zero bytes as the attempt, the results of the job.
CREATE TABLE leftovers (
    workload BLOB NOT NULL,
    attempt BLOB NOT NULL,
    project BLOB NOT NULL,
    PRIMARY KEY (workload, attempt)
);
