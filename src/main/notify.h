/* notify.h - words to the service manager that started this process (sd_notify(3)) */
#ifndef MAIN_NOTIFY_H
#define MAIN_NOTIFY_H

/* The manager's socket, removed from the environment: programs that inherited it would speak for this process
 * (crun waits for a word of its container then). Call before any fork. Owned by the caller; NULL: nobody waits. */
char *notify_take(void);

/* Sends STATE ("READY=1") to SOCKET. Returns 1 when sent, 0 when there is nobody, negative errno. */
int notify_manager(const char *socket_name, const char *state);

#endif
