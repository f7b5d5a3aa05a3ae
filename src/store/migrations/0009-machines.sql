-- Machines that joined, and what operators decided about any machine, by the subject of its name. The record is
-- struct node_record of fleet/fleet.h.
CREATE TABLE machines (
    subject BLOB PRIMARY KEY,
    record TEXT NOT NULL
);
