-- Container images of projects; the record is JSON (data/image.h).
CREATE TABLE images (
    id BLOB PRIMARY KEY,
    project BLOB NOT NULL,
    record TEXT NOT NULL
);
