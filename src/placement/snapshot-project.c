/* snapshot-project.c - projects of a snapshot: what they are called */
#include "placement/snapshot-form.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>

void snapshot_add_project(struct snapshot *s, const struct snapshot_project *project)
{
    const struct snapshot_project copy = { project->id, project->org, xstrdup(project->name) };

    vec_push(&s->projects, copy);
}

const struct snapshot_project *snapshot_project(const struct snapshot *s, const char *name)
{
    char id[ID_TEXT_LEN + 1];

    vec_foreach(&s->projects, project)
        if (str_equal(project->name, name) || str_equal(id_format(&project->id, id), name))
            return project;
    return NULL;
}

json_t *snapshot_project_to_json(const struct snapshot_project *project)
{
    json_t *json = json_object();

    json_put_id(json, "id", &project->id);
    json_put_id(json, "org", &project->org);
    json_put_str(json, "name", project->name);
    return json;
}

int snapshot_project_from_json(const json_t *json, struct snapshot_project *ret, struct error *err)
{
    *ret = (struct snapshot_project){ 0 };
    int r = snapshot_read_id(json, "id", true, &ret->id, err);
    if (r >= 0)
        r = snapshot_read_id(json, "org", true, &ret->org, err);
    return r < 0 ? r : snapshot_read_text(json, "name", &ret->name, err);
}
