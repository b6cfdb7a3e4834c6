/* Prints the version of the library and checks the paths given.
 * cc -std=c99 -I include examples/c/version.c -L target/debug -lrclonepool -o version */
#include <rclonepool.h>
#include <stdio.h>

int main(int argc, char **argv) {
    int i, bad = 0;

    printf("rclonepool %s\n", rclonepool_version());
    if (rclonepool_version_number() != RCLONEPOOL_VERSION_NUMBER) {
        fprintf(stderr, "the header is of version %u, the library of %u\n", (unsigned)RCLONEPOOL_VERSION_NUMBER,
                (unsigned)rclonepool_version_number());
        return 2;
    }
    for (i = 1; i < argc; i++) {
        rclonepool_error *error = NULL;
        rclonepool_status status = rclonepool_path_check(argv[i], &error);
        if (status == RCLONEPOOL_STATUS_OK) {
            printf("%s\n", argv[i]);
        } else {
            fprintf(stderr, "%d: %s\n", (int)status, rclonepool_error_message(error));
            rclonepool_error_free(error);
            bad = 1;
        }
    }
    return bad;
}
