/* admin.h - commands that need no server */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

/* `berth doctor [-o table|json|yaml] [--state DIR] [--runtime DIR]`: look at this machine and name
 * the command that mends each finding. ARGV[0] is "doctor". Returns the exit code: 0, 1 when
 * something fails that Berth needs, 2 usage. */
int admin_doctor(int argc, char **argv);

/* `berth store verify|backup FILE [--state DIR]`. ARGV[0] is "store". Exit codes as above; verify gives
 * 1 when something differs. */
int admin_store(int argc, char **argv);

#endif
