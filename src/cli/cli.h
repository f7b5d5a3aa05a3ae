/* cli.h - the command line: talks to the API only */
#ifndef CLI_CLI_H
#define CLI_CLI_H

/* ARGV as main() got it. Returns the exit code: 0, 1 failed, 2 usage, 3 not found, 4 denied, 5 no
 * capacity or conflict; `berth run` gives the job's own, or 125 when Berth itself failed. */
int cli_main(int argc, char **argv);

#endif
