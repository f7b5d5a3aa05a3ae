/* agent.h - what starts mpirun's daemons on the other nodes of a gang
 *
 * mpirun reaches other machines by `rsh`; inside a container there is neither that nor ssh. In its place it
 * gets a program of Berth's, linked statically so that it runs in every image: on node 0 mpirun calls it as
 * `mpi-agent HOST COMMAND…`, on the others it is the task's command (`mpi-agent serve`), runs what node 0
 * asks for and brings back output and exit code. Both find in AGENT_SETTINGS, which only the gang's tasks
 * have, the port and the secret.
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <stddef.h>

#define AGENT_DIR           "/run/berth"
#define AGENT_PROGRAM_NAME  "mpi-agent"
#define AGENT_SETTINGS_NAME "mpi"
#define AGENT_PROGRAM       AGENT_DIR "/" AGENT_PROGRAM_NAME
#define AGENT_SETTINGS                                                                             \
    AGENT_DIR "/" AGENT_SETTINGS_NAME /* "PORT SECRET\n", for whom the command runs as */

/* The program itself, an ELF executable; none in builds for fuzzing. */
extern const unsigned char agent_program[];
extern const size_t agent_program_size;

#endif
