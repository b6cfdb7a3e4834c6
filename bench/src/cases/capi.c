/* What the C API costs: capi CONFIG_JSON /file ROUNDS STATS. Prints the seconds of reading the file in 64 KiB, once per
 * round, then the seconds of so many stat calls. */
#define _POSIX_C_SOURCE 199309L
#include <rclonepool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PIECE 65536

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void must(rclonepool_status status, rclonepool_error *error) {
    if (status != RCLONEPOOL_STATUS_OK) {
        fprintf(stderr, "%s\n", rclonepool_error_message(error));
        exit(1);
    }
}

int main(int argc, char **argv) {
    static char buffer[PIECE];
    rclonepool_options *options = rclonepool_options_new();
    rclonepool_pool *pool = NULL;
    rclonepool_error *error = NULL;
    double from;
    long round, rounds, stats;

    if (argc != 5) {
        return 2;
    }
    rounds = atol(argv[3]);
    stats = atol(argv[4]);
    must(rclonepool_pool_open_json(argv[1], options, &pool, &error), error);
    for (round = 0; round < rounds; round++) {
        rclonepool_reader *reader = NULL;
        size_t read = 0, all = 0;
        from = now();
        must(rclonepool_reader_open(pool, argv[2], &reader, &error), error);
        do {
            must(rclonepool_reader_read(reader, buffer, PIECE, &read, &error), error);
            all += read;
        } while (read > 0);
        printf("%.9f %lu\n", now() - from, (unsigned long)all);
        rclonepool_reader_free(reader);
    }
    from = now();
    for (round = 0; round < stats; round++) {
        rclonepool_entry *entry = NULL;
        must(rclonepool_stat(pool, argv[2], &entry, &error), error);
        rclonepool_entry_free(entry);
    }
    printf("%.9f %ld\n", now() - from, stats);
    rclonepool_pool_free(pool);
    rclonepool_options_free(options);
    return 0;
}
