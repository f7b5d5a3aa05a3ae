-- A dataset's versions, and which jobs read (0) or wrote (1) them. Uses outlive the job: its name is kept.
CREATE TABLE datasets (
    id BLOB PRIMARY KEY,
    project BLOB NOT NULL,
    name TEXT NOT NULL,
    record TEXT NOT NULL
);
CREATE UNIQUE INDEX datasets_by_name ON datasets (project, name);
CREATE TABLE dataset_versions (
    dataset BLOB NOT NULL,
    number INTEGER NOT NULL,
    manifest BLOB NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (dataset, number)
);
CREATE INDEX dataset_versions_by_manifest ON dataset_versions (manifest);
CREATE TABLE dataset_uses (
    dataset BLOB NOT NULL,
    number INTEGER NOT NULL,
    workload BLOB NOT NULL,
    role INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (dataset, number, workload, role)
);
CREATE INDEX dataset_uses_by_age ON dataset_uses (dataset, workload);
