/* rules.c - the machines that will do for a job, whatever is free on them */
#include "placement/internal.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/texts.h"

static bool is_in(char *const *names, const char *name)
{
    for (; names && *names; names++)
        if (str_equal(*names, name))
            return true;
    return false;
}

static bool has_tags(const struct machine_rules *rules, const struct node *node)
{
    for (char *const *tag = rules->tags; tag && *tag; tag++)
        if (!node_has_tag(node, *tag))
            return false;
    return true;
}

bool rules_allow(const struct machine_rules *rules, const struct node *node)
{
    return (!rules->names || is_in(rules->names, node->name)) &&
           !is_in(rules->without, node->name) && has_tags(rules, node);
}

bool rules_equal(const struct machine_rules *a, const struct machine_rules *b)
{
    return a == b || (a->exclusive == b->exclusive && a->within == b->within &&
                      texts_equal(a->names, b->names) && texts_equal(a->without, b->without) &&
                      texts_equal(a->tags, b->tags));
}

static void add_list(struct text *t, const char *what, char *const *list)
{
    if (list)
        text_addf(t, "%s%s", t->len ? " and " : "", what);
    for (char *const *item = list; item && *item; item++)
        text_addf(t, "%s %s", item == list ? "" : ",", *item);
}

char *rules_text(const struct machine_rules *rules, const struct node *const *nodes, size_t n)
{
    enum { SHOWN = 8 };
    struct text t = { 0 };

    add_list(&t, "on_nodes", rules->names);
    add_list(&t, "not_nodes", rules->without);
    add_list(&t, "node_tags", rules->tags);
    text_add(&t, " leave no machine; there are ");
    for (size_t i = 0; i < n && i < SHOWN; i++)
        text_addf(&t, "%s%s", i ? ", " : "", nodes[i]->name);
    if (n > SHOWN)
        text_addf(&t, " and %zu more", n - SHOWN);
    return text_take(&t);
}
