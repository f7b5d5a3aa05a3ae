-- Why a manifest is kept: somebody holds it, a job its workspace. Sixteen zero bytes hold for good what was
-- there before holds were written down.
CREATE TABLE holds (
    holder BLOB NOT NULL,
    project BLOB NOT NULL,
    manifest BLOB NOT NULL,
    PRIMARY KEY (holder, project, manifest)
);
CREATE INDEX holds_of ON holds (project, manifest);
INSERT INTO holds (holder, project, manifest)
    SELECT X'00000000000000000000000000000000', project, sum FROM manifests;
-- When it was last sent or asked for.
ALTER TABLE blob_refs RENAME COLUMN created TO used;
ALTER TABLE manifests RENAME COLUMN created TO used;
CREATE INDEX manifests_by_use ON manifests (used);
