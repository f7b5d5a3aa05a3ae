/* figures.c - what running jobs and GPUs use, as Prometheus reads it */
#include "api/internal.h"

struct figures {
    const struct api *api;
    struct text *out;
    const char *name;
    double (*value)(const struct metrics_point *point);
};

static void add_label(struct text *out, const char *value)
{
    for (; *value; value++) {
        if (*value == '\\' || *value == '"')
            text_add_char(out, '\\');
        if (*value == '\n')
            text_add(out, "\\n");
        else
            text_add_char(out, *value);
    }
}

/* The tasks of a gang have a label more: their sum is for who reads them. */
static void add_task_figure(const struct figures *f, const struct workload *w, size_t rank)
{
    const struct metrics_task *task = task_metrics(f->api, w->attempt, rank);
    const struct metrics_point *point = task ? metrics_newest(task) : NULL;
    char id[ID_TEXT_LEN + 1], project[ID_TEXT_LEN + 1];

    if (!point || f->value(point) < 0)
        return;
    text_addf(f->out, "%s{project=\"%s\",job=\"%s\",name=\"", f->name,
              id_format(&w->project, project), id_format(&w->id, id));
    add_label(f->out, w->name);
    text_add_char(f->out, '"');
    if (w->attempt->n_tasks)
        text_addf(f->out, ",rank=\"%zu\"", rank);
    text_addf(f->out, "} %.6g\n", f->value(point));
}

static void add_job_figure(void *userdata, const struct workload *w)
{
    const struct figures *f = userdata;

    for (size_t rank = 0; w->attempt && rank < attempt_n_tasks(w->attempt); rank++)
        add_task_figure(f, w, rank);
}

static double cores_of(const struct metrics_point *p) { return p->cores; }
static double waiting_of(const struct metrics_point *p) { return p->cores_waiting; }
static double memory_of(const struct metrics_point *p) { return (double) p->memory_bytes; }
static double read_of(const struct metrics_point *p) { return p->read_rate; }
static double write_of(const struct metrics_point *p) { return p->write_rate; }

static double gpu_busy_of(const struct metrics_point *p)
{
    double sum = 0;

    for (unsigned i = 0; i < p->n_gpus; i++)
        sum += p->gpus[i].busy > 0 ? p->gpus[i].busy : 0;
    return p->n_gpus ? sum / p->n_gpus : -1;
}

static void add_jobs(const struct api *api, struct text *out)
{
    static const struct {
        const char *name, *help;
        double (*value)(const struct metrics_point *point);
    } families[] = {
        { "berth_job_cores_busy", "Busy cores of a running job.", cores_of },
        { "berth_job_cores_waiting", "Its cores that wait for a disk.", waiting_of },
        { "berth_job_memory_bytes", "Memory that it uses.", memory_of },
        { "berth_job_read_bytes_per_second", "What it reads from disks.", read_of },
        { "berth_job_write_bytes_per_second", "What it writes to disks.", write_of },
        { "berth_job_gpu_busy_ratio", "How busy its GPUs are.", gpu_busy_of },
    };

    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        struct figures f = { api, out, families[i].name, families[i].value };
        text_addf(out, "# HELP %s %s\n# TYPE %s gauge\n", f.name, families[i].help, f.name);
        lifecycle_each_attempt(api->options.lifecycle, add_job_figure, &f);
    }
}

static double gpu_busy(const struct gpu_state *gpu)
{
    return gpu->busy_percent < 0 ? -1 : gpu->busy_percent / 100.0;
}
static double gpu_memory(const struct gpu_state *gpu) { return (double) gpu->memory_used_bytes; }
static double gpu_power(const struct gpu_state *gpu) { return gpu->power_w; }
static double gpu_temperature(const struct gpu_state *gpu) { return gpu->temperature_c; }
static double gpu_errors(const struct gpu_state *gpu) { return (double) gpu->xids; }

static void add_gpus(const struct gpu_report *report, struct text *out)
{
    static const struct {
        const char *name, *help;
        double (*value)(const struct gpu_state *gpu);
        const char *type;
    } families[] = {
        { "berth_gpu_busy_ratio", "Part of the time in which something ran on it.", gpu_busy,
          "gauge" },
        { "berth_gpu_memory_used_bytes", "Memory in use.", gpu_memory, "gauge" },
        { "berth_gpu_power_watts", "Power that it takes.", gpu_power, "gauge" },
        { "berth_gpu_temperature_celsius", "Temperature.", gpu_temperature, "gauge" },
        { "berth_gpu_errors_total", "Errors that the driver reported by number (XID).", gpu_errors,
          "counter" },
    };

    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        const char *name = families[i].name;
        text_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, families[i].help, name,
                  families[i].type);
        for (unsigned k = 0; k < report->n; k++) {
            const struct gpu_state *gpu = &report->gpus[k];
            if (families[i].value(gpu) < 0)
                continue;
            text_addf(out, "%s{gpu=\"%s\",index=\"%u\",model=\"", name, gpu->uuid, gpu->index);
            add_label(out, gpu->model);
            text_addf(out, "\"} %.6g\n", families[i].value(gpu));
        }
    }
}

void add_metrics(const struct api *api, struct text *out)
{
    const struct gpu_report *report =
        api->options.metrics ? metrics_gpus(api->options.metrics) : NULL;

    if (api->options.metrics)
        add_jobs(api, out);
    if (report)
        add_gpus(report, out);
}
