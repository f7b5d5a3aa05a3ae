-- Tags of what has no record that they could be in: orgs, projects, keys, secrets, images, machines. The record is
-- an object of strings.
CREATE TABLE tags (
    subject BLOB PRIMARY KEY,
    record TEXT NOT NULL
);
