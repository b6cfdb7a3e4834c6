/* What the test programs share. */
#ifndef CHECK_H
#define CHECK_H

#include <rclonepool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* The call answers this status; `error` holds what it says, and is freed. */
#define GIVES(status, call)                                                                                            \
    do {                                                                                                               \
        rclonepool_error *error = NULL;                                                                                \
        rclonepool_status got = (call);                                                                                \
        if (got != (status)) {                                                                                         \
            fprintf(stderr, "%s:%d: %s gave %d: %s\n", __FILE__, __LINE__, #call, (int)got,                            \
                    rclonepool_error_message(error));                                                                  \
            exit(1);                                                                                                   \
        }                                                                                                              \
        CHECK((got < 0) == (error != NULL));                                                                           \
        if (error != NULL) {                                                                                           \
            CHECK(rclonepool_error_status(error) == got);                                                              \
            CHECK(rclonepool_error_message(error)[0] != '\0');                                                         \
        }                                                                                                              \
        rclonepool_error_free(error);                                                                                  \
    } while (0)
#define OK(call) GIVES(RCLONEPOOL_STATUS_OK, call)
#define INVALID(call) GIVES(RCLONEPOOL_STATUS_INVALID_ARGUMENT, call)

/* The configuration of a pool of three directories below `scratch`. */
static void configure(char *text, size_t room, const char *scratch) {
    int length = snprintf(text, room,
                          "{\"remotes\": [\"%s/a\", \"%s/b\", \"%s/c\"], \"redundancy_mode\": \"replication\","
                          " \"replication_factor\": 2, \"chunk_size\": 1048576, \"manifest_cache_dir\": \"%s/cache\","
                          " \"memory_limit_mb\": 64}",
                          scratch, scratch, scratch, scratch);
    CHECK(length > 0 && (size_t)length < room);
}

#ifndef ONLY_CONFIGURE
/* Makes and opens it. */
static rclonepool_pool *open_pool(const char *scratch) {
    char config[4096], remote[1024];
    rclonepool_pool *pool = NULL;
    const char *name;
    for (name = "abc"; *name != '\0'; name++) {
        snprintf(remote, sizeof remote, "%s/%c", scratch, *name);
        mkdir(remote, 0777); /* It may be there. */
    }
    configure(config, sizeof config, scratch);
    OK(rclonepool_init_json(config, NULL, NULL, &error));
    OK(rclonepool_pool_open_json(config, NULL, &pool, &error));
    CHECK(pool != NULL);
    return pool;
}
#endif

#endif
