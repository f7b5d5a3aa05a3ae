-- Ids and digests are bytes, times microseconds since 1970 UTC, records JSON. Plain SQL: another
-- database must be able to hold the same.
CREATE TABLE orgs (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL
);
CREATE TABLE projects (
    id BLOB PRIMARY KEY,
    org BLOB NOT NULL,
    name TEXT NOT NULL UNIQUE,
    uid_range INTEGER NOT NULL UNIQUE,
    created INTEGER NOT NULL
);
CREATE TABLE access_keys (
    id BLOB PRIMARY KEY,
    project BLOB NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    role INTEGER NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL
);
CREATE TABLE secrets (
    id BLOB PRIMARY KEY,
    project BLOB NOT NULL,
    name TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL
);
CREATE TABLE workloads (
    id BLOB PRIMARY KEY,
    project BLOB NOT NULL,
    name TEXT NOT NULL,
    state INTEGER NOT NULL,
    created INTEGER NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX workloads_by_project ON workloads (project, id);
CREATE INDEX workloads_by_state ON workloads (project, state, id);
CREATE INDEX workloads_by_name ON workloads (project, name, id);
CREATE INDEX workloads_live ON workloads (state) WHERE state < 5;
CREATE TABLE workload_tags (
    project BLOB NOT NULL,
    tag TEXT NOT NULL,
    value TEXT NOT NULL,
    workload BLOB NOT NULL,
    PRIMARY KEY (project, tag, value, workload)
);
CREATE INDEX workload_tags_of ON workload_tags (workload);
CREATE INDEX workload_tags_any ON workload_tags (project, tag, workload);
CREATE TABLE workload_counts (
    state INTEGER PRIMARY KEY,
    n INTEGER NOT NULL
);
CREATE TABLE attempts (
    id BLOB PRIMARY KEY,
    workload BLOB NOT NULL,
    number INTEGER NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX attempts_of ON attempts (workload, number);
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    time INTEGER NOT NULL,
    project BLOB NOT NULL,
    kind TEXT NOT NULL,
    subject BLOB NOT NULL,
    actor TEXT,
    type TEXT NOT NULL,
    version INTEGER NOT NULL,
    data TEXT
);
CREATE INDEX events_of_subject ON events (subject, seq);
CREATE INDEX events_of_project ON events (project, seq);
CREATE TABLE artifacts (
    workload BLOB PRIMARY KEY,
    manifest BLOB NOT NULL
);
CREATE TABLE blob_refs (
    project BLOB NOT NULL,
    sum BLOB NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (project, sum)
);
CREATE TABLE manifests (
    project BLOB NOT NULL,
    sum BLOB NOT NULL,
    bytes BLOB NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (project, sum)
);
CREATE TABLE answers (
    scope TEXT PRIMARY KEY,
    request BLOB NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    created INTEGER NOT NULL
);
CREATE INDEX answers_by_age ON answers (created);
