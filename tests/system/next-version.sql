-- What the version after this one might add (tests/meson.build).
CREATE TABLE of_the_next_version (id BLOB PRIMARY KEY);
