/* log.h - logfmt lines on stderr: ts=… level=info msg="…" key=value
 *
 * Only programs log (main/, and the roles' top files), once, with the user's nouns; libraries
 * return errors. Values are quoted and escaped; secrets never come here.
 */
#ifndef OS_LOG_H
#define OS_LOG_H

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

void log_set_level(enum log_level least);
/* -EINVAL for an unknown name. */
int log_level_parse(const char *name, enum log_level *ret);

/* Pairs of key, value (both const char *, a NULL value is left out), ended by NULL. */
__attribute__((sentinel)) void log_write(enum log_level level, const char *msg, ...);

#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__, NULL)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__, NULL)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__, NULL)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__, NULL)

#endif
