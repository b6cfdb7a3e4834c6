/* Loads the library, uses it, unloads it, twice over: no thread may be left. Usage: unload LIBRARY DIRECTORY */
#define _DEFAULT_SOURCE
#define ONLY_CONFIGURE
#include "check.h"

#include <dirent.h>
#include <dlfcn.h>

static int threads(void) {
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;
    CHECK(tasks != NULL);
    while (readdir(tasks) != NULL) {
        count++;
    }
    closedir(tasks);
    return count - 2;
}

/* A function of the library, by its name: ISO C has no cast from a pointer to data. */
#define NEED(name)                                                                                                     \
    *(void **)&name = dlsym(library, "rclonepool_" #name);                                                             \
    CHECK(name != NULL)

int main(int argc, char **argv) {
    char config[4096];
    int round;

    CHECK(argc == 3);
    configure(config, sizeof config, argv[2]);
    for (round = 0; round < 3; round++) {
        __typeof__(&rclonepool_init_json) init_json;
        __typeof__(&rclonepool_pool_open_json) pool_open_json;
        __typeof__(&rclonepool_pool_free) pool_free;
        __typeof__(&rclonepool_put) put;
        __typeof__(&rclonepool_version_number) version_number;
        rclonepool_pool *pool = NULL;
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        CHECK(library != NULL);
        NEED(init_json);
        NEED(pool_open_json);
        NEED(pool_free);
        NEED(put);
        NEED(version_number);
        CHECK(version_number() == RCLONEPOOL_VERSION_NUMBER);
        CHECK(init_json(config, NULL, NULL, NULL) == RCLONEPOOL_STATUS_OK);
        CHECK(pool_open_json(config, NULL, &pool, NULL) == RCLONEPOOL_STATUS_OK);
        CHECK(put(pool, "/unload", "x", 1, NULL, NULL, NULL) == RCLONEPOOL_STATUS_OK);
        CHECK(threads() > 1);
        pool_free(pool);
        CHECK(threads() == 1);
        CHECK(dlclose(library) == 0);
    }
    puts("unload: no thread is left");
    return 0;
}
