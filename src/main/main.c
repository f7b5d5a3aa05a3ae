/* main.c - one executable, several roles: the first word says which; all else is the CLI */
#include "cli/cli.h"

int main(int argc, char **argv) { return cli_main(argc, argv); }
