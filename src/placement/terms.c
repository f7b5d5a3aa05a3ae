/* terms.c - one number for all requests of a shape */
#include "placement/terms.h"

#include "base/alloc.h"
#include "base/texts.h"

#include <stdlib.h>

/* What most shapes differ in; no padding. */
struct numbers {
    int64_t memory_bytes, disk_bytes;
    uint32_t groups, tasks, cores, gpus;
};

static struct numbers numbers_of(const struct terms *t)
{
    const struct shape *shape = &t->shape;

    return (struct numbers){ .memory_bytes = shape->memory_bytes,
                             .disk_bytes = shape->disk_bytes,
                             .groups = shape->groups,
                             .tasks = shape->tasks,
                             .cores = shape->cores,
                             .gpus = shape->gpus *
                                     (shape->gpu_milli ? shape->gpu_milli : CAPACITY_GPU) };
}

static struct terms *terms_new(const struct terms *wanted)
{
    const struct shape *shape = &wanted->shape;
    struct terms *t = xnew(struct terms);

    *t = *wanted;
    t->shape.gpu_model = t->gpu_model = xstrdup(shape->gpu_model);
    t->shape.devices = t->devices = texts_copy(shape->devices);
    t->rules = (struct machine_rules){ .names = texts_copy(shape->rules->names),
                                       .without = texts_copy(shape->rules->without),
                                       .tags = texts_copy(shape->rules->tags),
                                       .exclusive = shape->rules->exclusive,
                                       .within = shape->rules->within };
    t->shape.rules = &t->rules;
    return t;
}

static void terms_free(void *item)
{
    struct terms *t = item;

    free(t->gpu_model);
    texts_free(t->devices);
    texts_free(t->rules.names);
    texts_free(t->rules.without);
    texts_free(t->rules.tags);
    free(t);
}

void terms_table_init(struct terms_table *table)
{
    *table = (struct terms_table){ .by_numbers = map_new(), .by_number = map_new() };
}

void terms_table_done(struct terms_table *table)
{
    map_free(table->by_numbers);
    map_free_with(table->by_number, terms_free);
}

struct terms *terms_take(struct terms_table *table, const struct terms *wanted)
{
    const struct numbers numbers = numbers_of(wanted);
    struct terms *first = map_get(table->by_numbers, &numbers, sizeof numbers);

    for (struct terms *t = first; t; t = t->next)
        if (shape_equal(&t->shape, &wanted->shape)) {
            t->refs++;
            return t;
        }
    struct terms *t = terms_new(wanted);
    t->number = ++table->last;
    t->refs = 1;
    t->next = first;
    (void) map_set(table->by_numbers, &numbers, sizeof numbers, t);
    (void) map_set(table->by_number, &t->number, sizeof t->number, t);
    return t;
}

static void unlink_terms(struct terms_table *table, const struct terms *t)
{
    const struct numbers numbers = numbers_of(t);
    struct terms *first = map_get(table->by_numbers, &numbers, sizeof numbers);

    if (first == t) {
        if (t->next)
            (void) map_set(table->by_numbers, &numbers, sizeof numbers, t->next);
        else
            (void) map_remove(table->by_numbers, &numbers, sizeof numbers);
        return;
    }
    while (first->next != t)
        first = first->next;
    first->next = t->next;
}

void terms_unref(struct terms_table *table, struct terms *t)
{
    if (--t->refs > 0)
        return;
    unlink_terms(table, t);
    (void) map_remove(table->by_number, &t->number, sizeof t->number);
    terms_free(t);
}

const struct terms *terms_get(const struct terms_table *table, uint32_t number)
{
    return map_get(table->by_number, &number, sizeof number);
}
