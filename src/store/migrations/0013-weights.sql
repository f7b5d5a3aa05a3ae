-- Their part of the machines, among those of their kind.
ALTER TABLE orgs ADD COLUMN weight INTEGER NOT NULL DEFAULT 1;
ALTER TABLE projects ADD COLUMN weight INTEGER NOT NULL DEFAULT 1;
