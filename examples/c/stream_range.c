/* Streams a range of a file, a video say, to standard output.
 *
 *   stream_range CONFIG /path/in/pool FIRST LENGTH | mpv -
 *
 * cc -std=c99 stream_range.c $(pkg-config --cflags --libs rclonepool) -o stream_range */
#include <rclonepool.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    static char buffer[1 << 16];
    rclonepool_options *options = rclonepool_options_new();
    rclonepool_pool *pool = NULL;
    rclonepool_reader *reader = NULL;
    rclonepool_error *error = NULL;
    rclonepool_status status;
    unsigned long long left;

    if (argc != 5) {
        fprintf(stderr, "usage: %s CONFIG /path/in/pool FIRST LENGTH\n", argv[0]);
        return 2;
    }
    left = strtoull(argv[4], NULL, 10);
    /* So that rclone finds its configuration. */
    rclonepool_options_set_integer(options, RCLONEPOOL_OPTION_INHERIT_ENV, 1, NULL);
    status = rclonepool_pool_open(argv[1], options, &pool, &error);
    if (status == RCLONEPOOL_STATUS_OK) {
        status = rclonepool_reader_open(pool, argv[2], &reader, &error);
    }
    if (status == RCLONEPOOL_STATUS_OK) {
        status = rclonepool_reader_seek(reader, strtoll(argv[3], NULL, 10), RCLONEPOOL_WHENCE_SET, NULL, &error);
    }
    while (status == RCLONEPOOL_STATUS_OK && left > 0) {
        size_t read = 0, wanted = left < sizeof buffer ? (size_t)left : sizeof buffer;
        status = rclonepool_reader_read(reader, buffer, wanted, &read, &error);
        if (read == 0) {
            break; /* the end of the file, or a failure */
        }
        if (fwrite(buffer, 1, read, stdout) != read) {
            break; /* whoever watched has gone */
        }
        left -= read;
    }
    if (status != RCLONEPOOL_STATUS_OK) {
        fprintf(stderr, "%s\n", rclonepool_error_message(error));
    }
    rclonepool_error_free(error);
    rclonepool_reader_free(reader);
    rclonepool_pool_free(pool);
    rclonepool_options_free(options);
    return status == RCLONEPOOL_STATUS_OK && fflush(stdout) == 0 ? 0 : 1;
}
