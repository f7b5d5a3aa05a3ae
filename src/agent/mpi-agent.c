/* mpi-agent.c - see agent.h */
#include "agent/io.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "serve") == 0)
        return agent_serve();
    if (argc >= 3)
        return agent_call(argv[1], argv + 2);
    (void) fputs("usage: mpi-agent serve | mpi-agent HOST COMMAND...\n", stderr);
    return 2;
}
