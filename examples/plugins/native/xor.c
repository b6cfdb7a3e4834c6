/* A transformer in C: every byte exclusive-or 0x55.
 *
 *     cc -std=c99 -shared -fPIC -O2 -I include -o libxor.so examples/plugins/native/xor.c
 *     rclonepool plugins load libxor.so
 *     rclonepool plugins enable transformer:xor
 */
#include "rclonepool_plugin.h"

#include <stdlib.h>
#include <string.h>

static const char *describe(void) {
    return "[{\"name\":\"xor\",\"version\":\"1.0\",\"description\":\"Every byte exclusive-or 0x55\","
           "\"plugin_type\":\"transformer\"}]";
}

static void *create(const char *kind, const char *name, const char *config, const rclonepool_plugin_host *host,
                    rclonepool_plugin_reply *reply) {
    static int made;
    (void)kind, (void)name, (void)config, (void)host, (void)reply;
    return &made;
}

static int32_t call(void *plugin, const char *method, const char *args, const uint8_t *data, size_t size,
                    const rclonepool_plugin_host *host, rclonepool_plugin_reply *reply) {
    uint8_t *changed;
    size_t at;
    (void)plugin, (void)args;
    if (strcmp(method, "transform") != 0 && strcmp(method, "restore") != 0) {
        host->error(reply, "LookupError", "a transformer has transform and restore");
        return 1;
    }
    changed = malloc(size ? size : 1);
    if (changed == NULL) {
        host->error(reply, "MemoryError", "no memory");
        return 1;
    }
    for (at = 0; at < size; at++)
        changed[at] = data[at] ^ 0x55;
    host->give(reply, changed, size);
    free(changed);
    return 0;
}

static void destroy(void *plugin) { (void)plugin; }

const rclonepool_plugin_table *rclonepool_plugin(void) {
    static const rclonepool_plugin_table table = {
        RCLONEPOOL_PLUGIN_ABI, sizeof(rclonepool_plugin_table), describe, create, call, destroy,
    };
    return &table;
}
