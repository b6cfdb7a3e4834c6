/* Backs up a directory, and tells each file.
 *
 *   backup CONFIG DIRECTORY /path/in/pool
 *
 * cc -std=c99 backup.c $(pkg-config --cflags --libs rclonepool) -o backup */
#include <rclonepool.h>
#include <inttypes.h>
#include <stdio.h>

static int32_t tell(void *userdata, const rclonepool_event *event) {
    (void)userdata;
    switch (event->kind) {
    case RCLONEPOOL_EVENT_KIND_FILE:
        printf("%s %s, %" PRIu64 " bytes\n", event->text, event->path, event->size);
        break;
    case RCLONEPOOL_EVENT_KIND_FILE_FAILED:
        fprintf(stderr, "%s: %s\n", event->path, event->text);
        break;
    case RCLONEPOOL_EVENT_KIND_NOTICE:
        fprintf(stderr, "%s\n", event->text);
        break;
    default:
        break;
    }
    return 0; /* anything else cancels */
}

int main(int argc, char **argv) {
    rclonepool_options *options = rclonepool_options_new();
    rclonepool_pool *pool = NULL;
    rclonepool_report *report = NULL;
    rclonepool_error *error = NULL;
    rclonepool_status status;

    if (argc != 4) {
        fprintf(stderr, "usage: %s CONFIG DIRECTORY /path/in/pool\n", argv[0]);
        return 2;
    }
    /* So that rclone finds its configuration. */
    rclonepool_options_set_integer(options, RCLONEPOOL_OPTION_INHERIT_ENV, 1, NULL);
    status = rclonepool_pool_open(argv[1], options, &pool, &error);
    if (status == RCLONEPOOL_STATUS_OK) {
        status = rclonepool_upload(pool, argv[2], argv[3], NULL, tell, NULL, &report, &error);
    }
    if (report != NULL) {
        int64_t files = 0, bytes = 0, unchanged = 0;
        rclonepool_report_integer(report, "/files", &files, NULL);
        rclonepool_report_integer(report, "/bytes", &bytes, NULL);
        rclonepool_report_integer(report, "/unchanged", &unchanged, NULL);
        printf("%" PRId64 " files stored, %" PRId64 " bytes; %" PRId64 " were there\n", files, bytes, unchanged);
    }
    if (status != RCLONEPOOL_STATUS_OK) {
        fprintf(stderr, "%s\n", rclonepool_error_message(error));
    }
    rclonepool_error_free(error);
    rclonepool_report_free(report);
    rclonepool_pool_free(pool);
    rclonepool_options_free(options);
    return status == RCLONEPOOL_STATUS_OK ? 0 : 1;
}
