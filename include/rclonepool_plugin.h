/*
 * Plugins of rclonepool as shared libraries: C99 and C++11.
 *
 * A library exports one function, rclonepool_plugin(), which gives one table of functions. Calls carry a method's name,
 * its arguments as JSON, and bytes; methods, arguments and answers are those of Python plugins (PLUGINS.md lists them).
 * Calls of one plugin come one at a time, from any thread. All texts are UTF-8 and end with a zero byte; all pointers
 * that a function is given are valid until it returns.
 *
 * A library is code of the process: what it breaks is broken for all of it, and it is never unloaded.
 */
#ifndef RCLONEPOOL_PLUGIN_H
#define RCLONEPOOL_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this file. A program refuses tables of another one. */
#define RCLONEPOOL_PLUGIN_ABI 1u

#if defined(_WIN32)
#define RCLONEPOOL_PLUGIN_EXPORT __declspec(dllexport)
#else
#define RCLONEPOOL_PLUGIN_EXPORT __attribute__((visibility("default")))
#endif

/* The answer to a call, on the program's side. */
typedef struct rclonepool_plugin_reply rclonepool_plugin_reply;

/* What a plugin may do with an answer. Later versions add functions at the end: struct_size tells what is there. */
typedef struct rclonepool_plugin_host {
    size_t struct_size;
    /* Adds bytes to the answer; they are copied. */
    void (*give)(rclonepool_plugin_reply *reply, const uint8_t *data, size_t size);
    /* Sets the answer's value, as JSON. */
    void (*value)(rclonepool_plugin_reply *reply, const char *json);
    /* Says why there is no answer; kind is a name such as ValueError. FileNotFoundError says that an object is
       definitely absent. */
    void (*error)(rclonepool_plugin_reply *reply, const char *kind, const char *message);
} rclonepool_plugin_host;

/* The functions of a plugin. */
typedef struct rclonepool_plugin_table {
    /* RCLONEPOOL_PLUGIN_ABI */
    uint32_t abi;
    /* sizeof(rclonepool_plugin_table) */
    uint32_t struct_size;
    /* Who the library's plugins are: a JSON list of objects of name, version, author, description, plugin_type
       ("balancer", "transformer", ...) and reads (a list of versions). The text is the library's, and stays. */
    const char *(*describe)(void);
    /* Makes a plugin of its configuration (a JSON object); NULL after host->error. */
    void *(*create)(const char *kind, const char *name, const char *config, const rclonepool_plugin_host *host,
                    rclonepool_plugin_reply *reply);
    /* Does a call: 0, or anything else after host->error. */
    int32_t (*call)(void *plugin, const char *method, const char *args, const uint8_t *data, size_t size,
                    const rclonepool_plugin_host *host, rclonepool_plugin_reply *reply);
    /* Ends a plugin. */
    void (*destroy)(void *plugin);
} rclonepool_plugin_table;

/* What the library exports: its table, which stays as long as the library does; NULL for none. */
RCLONEPOOL_PLUGIN_EXPORT const rclonepool_plugin_table *rclonepool_plugin(void);

#ifdef __cplusplus
}
#endif

#endif
