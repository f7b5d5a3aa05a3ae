-- Whose a project's jobs are on a cluster; NULL: the server's own.
ALTER TABLE projects ADD COLUMN account TEXT;
