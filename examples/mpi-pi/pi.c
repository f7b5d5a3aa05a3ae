/* pi.c - pi by the midpoint rule, each rank its share, and who took part
 *
 * Build with mpicc. Every rank says where it runs; rank 0 checks that a message that goes round all of
 * them comes back whole, and prints pi, which is the same for any number of ranks to 12 digits.
 */
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS   20000000L
#define MESSAGE (1 << 20) /* bytes: more than MPI sends at once */

static double share(int rank, int size)
{
    double sum = 0;

    for (long i = rank; i < STEPS; i += size) {
        double x = ((double) i + 0.5) / STEPS;
        sum += 4 / (1 + x * x);
    }
    return sum / STEPS;
}

/* Each adds one to every byte: 0 if it comes back to rank 0 as it must. */
static int ring(int rank, int size)
{
    unsigned char *bytes = calloc(1, MESSAGE);
    int next = (rank + 1) % size, before = (rank + size - 1) % size, bad = 0;

    if (!bytes)
        MPI_Abort(MPI_COMM_WORLD, 2);
    if (rank == 0)
        MPI_Send(bytes, MESSAGE, MPI_BYTE, next, 0, MPI_COMM_WORLD);
    MPI_Recv(bytes, MESSAGE, MPI_BYTE, before, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    for (int i = 0; i < MESSAGE; i++) {
        if (rank == 0)
            bad |= bytes[i] != (unsigned char) (size - 1);
        bytes[i]++;
    }
    if (rank != 0)
        MPI_Send(bytes, MESSAGE, MPI_BYTE, next, 0, MPI_COMM_WORLD);
    free(bytes);
    return bad;
}

int main(int argc, char **argv)
{
    char host[MPI_MAX_PROCESSOR_NAME];
    int rank, size, len, bad = 0;
    double pi = 0;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Get_processor_name(host, &len);
    printf("rank %d of %d on %s\n", rank, size, host);
    fflush(stdout);
    /* For trying out what becomes of a rank that fails. */
    if (argc == 3 && strcmp(argv[1], "--fail") == 0 && atoi(argv[2]) == rank)
        exit(3);

    double mine = share(rank, size);
    MPI_Reduce(&mine, &pi, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    if (size > 1)
        bad = ring(rank, size);
    if (rank == 0)
        printf("pi is %.12f\n", pi);
    MPI_Finalize();
    return bad || (rank == 0 && fabs(pi - M_PI) > 1e-10);
}
