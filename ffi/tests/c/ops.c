/* Operations, callbacks, care, threads, fork, messages: what the C ABI promises, from C. Usage: ops DIRECTORY */
#define _DEFAULT_SOURCE
#include "check.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *scratch;

#define LARGE (24u * 1048576u)

/* A local file of LARGE bytes that no two parts of are alike. */
static void large_file(char *path, size_t room, const char *name) {
    FILE *file;
    uint32_t at, seed = 7;
    snprintf(path, room, "%s/%s", scratch, name);
    file = fopen(path, "wb");
    CHECK(file != NULL);
    for (at = 0; at < LARGE; at += sizeof seed) {
        seed = seed * 1664525u + 1013904223u;
        CHECK(fwrite(&seed, sizeof seed, 1, file) == 1);
    }
    CHECK(fclose(file) == 0);
}

struct seen {
    rclonepool_pool *pool;
    pthread_t thread;
    int events, files, answer, nested;
    uint64_t bytes, total;
};

static int32_t on_event(void *userdata, const rclonepool_event *event) {
    struct seen *seen = userdata;
    CHECK(pthread_equal(pthread_self(), seen->thread));
    CHECK(event->struct_size >= sizeof *event);
    CHECK(event->bytes_done >= seen->bytes);
    seen->bytes = event->bytes_done;
    seen->total = event->bytes_total;
    seen->events++;
    if (event->kind == RCLONEPOOL_EVENT_KIND_FILE) {
        CHECK(event->path != NULL && event->text != NULL && event->json != NULL && event->json[0] == '{');
        seen->files++;
    }
    if (seen->nested == 1) {
        rclonepool_report *report = NULL;
        seen->nested = 2;
        /* In again, by a short call and a long one; but not to close what called. */
        OK(rclonepool_put(seen->pool, "/nested", "x", 1, NULL, NULL, &error));
        OK(rclonepool_pool_status(seen->pool, NULL, NULL, &report, &error));
        rclonepool_report_free(report);
        GIVES(RCLONEPOOL_STATUS_BUSY, rclonepool_pool_close(seen->pool, &error));
    }
    return seen->answer;
}

static struct seen watcher(rclonepool_pool *pool) {
    struct seen seen;
    memset(&seen, 0, sizeof seen);
    seen.pool = pool;
    seen.thread = pthread_self();
    return seen;
}

static void test_callbacks(rclonepool_pool *pool) {
    char local[600];
    rclonepool_entry *entry = NULL;
    rclonepool_report *report = NULL;
    struct seen seen = watcher(pool);

    large_file(local, sizeof local, "large");
    seen.nested = 1;
    OK(rclonepool_upload(pool, local, "/ops/large", NULL, on_event, &seen, NULL, &error));
    CHECK(seen.nested == 2 && seen.files == 1 && seen.bytes == LARGE && seen.total == LARGE);
    seen = watcher(pool);
    seen.answer = 1;
    GIVES(RCLONEPOOL_STATUS_CANCELLED,
          rclonepool_upload(pool, local, "/ops/cancelled", NULL, on_event, &seen, &report, &error));
    CHECK(seen.events > 0 && report == NULL);
    GIVES(RCLONEPOOL_STATUS_NOT_FOUND, rclonepool_stat(pool, "/ops/cancelled", &entry, &error));
}

static void test_operations(rclonepool_pool *pool) {
    char local[600];
    rclonepool_op *op = NULL;
    rclonepool_report *report = NULL;
    rclonepool_plan *plan = NULL;
    rclonepool_progress progress;
    struct seen seen = watcher(pool);
    int32_t done = 0;

    snprintf(local, sizeof local, "%s/large", scratch);
    OK(rclonepool_upload_start(pool, local, "/ops/started", NULL, &op, &error));
    memset(&progress, 0, sizeof progress);
    INVALID(rclonepool_op_progress(op, &progress, &error));
    progress.struct_size = sizeof progress;
    while (!rclonepool_op_is_done(op)) {
        OK(rclonepool_op_progress(op, &progress, &error));
        CHECK(progress.bytes_done <= LARGE);
        OK(rclonepool_op_wait(op, 1, on_event, &seen, &done, &error));
    }
    OK(rclonepool_op_wait(op, -1, on_event, &seen, &done, &error));
    CHECK(done == 1 && seen.files == 1);
    OK(rclonepool_op_progress(op, &progress, &error));
    CHECK(progress.is_done == 1 && progress.bytes_done == LARGE);
    OK(rclonepool_op_take(op, &report, &error));
    INVALID(rclonepool_op_take(op, &report, &error));
    rclonepool_report_free(report);
    rclonepool_op_free(op);

    /* Cancelled from another place, and freed while it runs. */
    OK(rclonepool_download_start(pool, "/ops/large", scratch, NULL, &op, &error));
    rclonepool_op_cancel(op);
    OK(rclonepool_op_wait(op, -1, NULL, NULL, NULL, &error));
    report = NULL;
    done = rclonepool_op_take(op, &report, NULL);
    CHECK(done == RCLONEPOOL_STATUS_CANCELLED || done == RCLONEPOOL_STATUS_OK);
    rclonepool_report_free(report);
    rclonepool_op_free(op);
    OK(rclonepool_upload_start(pool, local, "/ops/freed", NULL, &op, &error));
    rclonepool_op_free(op);

    /* What watches runs until it is told to stop. */
    OK(rclonepool_watch_start(pool, &op, &error));
    seen = watcher(pool);
    while (seen.events == 0) {
        OK(rclonepool_op_wait(op, 50, on_event, &seen, &done, &error));
        CHECK(!done);
    }
    GIVES(RCLONEPOOL_STATUS_BUSY, rclonepool_op_take(op, NULL, &error));
    rclonepool_op_cancel(op);
    OK(rclonepool_op_wait(op, -1, NULL, NULL, &done, &error));
    CHECK(done);
    GIVES(RCLONEPOOL_STATUS_CANCELLED, rclonepool_op_take(op, NULL, &error));
    rclonepool_op_free(op);

    OK(rclonepool_rebalance_plan_start(pool, 5.0, &op, &error));
    OK(rclonepool_op_wait(op, -1, NULL, NULL, NULL, &error));
    OK(rclonepool_op_take_plan(op, &plan, &error));
    rclonepool_plan_free(plan);
    rclonepool_op_free(op);
    OK(rclonepool_verify_start(pool, NULL, &op, &error));
    OK(rclonepool_op_wait(op, -1, NULL, NULL, NULL, &error));
    INVALID(rclonepool_op_take_plan(op, &plan, &error));
    rclonepool_op_free(op);
}

static int64_t number(const rclonepool_report *report, const char *place) {
    int64_t value = -1;
    OK(rclonepool_report_integer(report, place, &value, &error));
    return value;
}

/* A remote loses all it has: found, planned, put anew. */
static void test_care(rclonepool_pool *pool) {
    char command[1400], remote[600];
    const char *text = NULL;
    const char *names[1];
    double variance = -1;
    rclonepool_options *options = rclonepool_options_new();
    rclonepool_report *report = NULL;
    rclonepool_plan *plan = NULL;
    struct seen seen = watcher(pool);

    /* Whatever is still on its way to a slow remote is there then. */
    OK(rclonepool_pool_refresh(pool, &error));
    OK(rclonepool_pool_status(pool, NULL, NULL, &report, &error));
    CHECK(number(report, "/complete_view") == 1 && number(report, "/tolerated") == 1);
    rclonepool_report_free(report);
    OK(rclonepool_verify(pool, NULL, NULL, NULL, &report, &error));
    CHECK(rclonepool_report_status(report) == RCLONEPOOL_STATUS_OK);
    rclonepool_report_free(report);

    snprintf(command, sizeof command, "find '%s/a' -name '*.0.*' -delete", scratch);
    CHECK(system(command) == 0);
    OK(rclonepool_options_set_integer(options, RCLONEPOOL_OPTION_LEVEL, RCLONEPOOL_LEVEL_DEEP, &error));
    OK(rclonepool_verify(pool, options, on_event, &seen, &report, &error));
    CHECK(rclonepool_report_status(report) == RCLONEPOOL_STATUS_DEGRADED);
    CHECK(number(report, "/shards/missing") > 0);
    rclonepool_report_free(report);
    OK(rclonepool_health(pool, NULL, NULL, NULL, &report, &error));
    CHECK(rclonepool_report_status(report) == RCLONEPOOL_STATUS_DEGRADED && number(report, "/recoverable") == 1);
    OK(rclonepool_report_text(report, "/state", &text, &error));
    CHECK(strcmp(text, "at_risk") == 0 || strcmp(text, "degraded") == 0);
    rclonepool_report_free(report);
    INVALID(rclonepool_health(pool, options, NULL, NULL, &report, &error));
    rclonepool_options_free(options);

    options = rclonepool_options_new();
    OK(rclonepool_options_set_integer(options, RCLONEPOOL_OPTION_ALL, 1, &error));
    OK(rclonepool_options_set_integer(options, RCLONEPOOL_OPTION_ACCEPT_LOSS, 1, &error));
    OK(rclonepool_rebuild_plan(pool, options, NULL, NULL, &plan, &error));
    CHECK(number(rclonepool_plan_report(plan), "/write_bytes") > 0);
    seen = watcher(pool);
    OK(rclonepool_plan_perform(pool, plan, on_event, &seen, &report, &error));
    CHECK(number(report, "/shards") > 0 && rclonepool_report_status(report) == RCLONEPOOL_STATUS_OK);
    rclonepool_report_free(report);
    rclonepool_plan_free(plan);
    rclonepool_options_free(options);
    OK(rclonepool_pool_refresh(pool, &error));
    OK(rclonepool_verify(pool, NULL, NULL, NULL, &report, &error));
    CHECK(rclonepool_report_status(report) == RCLONEPOOL_STATUS_OK);
    rclonepool_report_free(report);

    OK(rclonepool_rebalance_plan(pool, 5.0, NULL, NULL, &plan, &error));
    OK(rclonepool_report_real(rclonepool_plan_report(plan), "/variance", &variance, &error));
    CHECK(variance >= 0);
    OK(rclonepool_plan_perform(pool, plan, NULL, NULL, NULL, &error));
    rclonepool_plan_free(plan);
    INVALID(rclonepool_rebalance_plan(pool, -1.0, NULL, NULL, &plan, &error));
    OK(rclonepool_convert_plan(pool, "/nested", "replication:3", NULL, NULL, &plan, &error));
    rclonepool_plan_free(plan);
    INVALID(rclonepool_convert_plan(pool, "/ops", "replication:x", NULL, NULL, &plan, &error));
    OK(rclonepool_convert_plan(pool, "/ops/large", "replication:3", NULL, NULL, &plan, &error));
    CHECK(number(rclonepool_plan_report(plan), "/files") == 1);
    OK(rclonepool_plan_perform(pool, plan, NULL, NULL, &report, &error));
    CHECK(number(report, "/chunks") > 0);
    rclonepool_report_free(report);
    rclonepool_plan_free(plan);
    snprintf(remote, sizeof remote, "%s/c", scratch);
    OK(rclonepool_drain_plan(pool, remote, NULL, NULL, NULL, &plan, &error));
    CHECK(number(rclonepool_plan_report(plan), "/shards") > 0);
    rclonepool_plan_free(plan);
    GIVES(RCLONEPOOL_STATUS_NOT_FOUND, rclonepool_drain_plan(pool, "no:", NULL, NULL, NULL, &plan, &error));
    names[0] = "no:";
    GIVES(RCLONEPOOL_STATUS_NOT_FOUND, rclonepool_loss_plan(pool, names, 1, NULL, NULL, &plan, &error));
    names[0] = NULL;
    INVALID(rclonepool_loss_plan(pool, names, 1, NULL, NULL, &plan, &error));
    INVALID(rclonepool_loss_plan(pool, names, 0, NULL, NULL, &plan, &error));
    OK(rclonepool_orphans(pool, NULL, NULL, NULL, &report, &error));
    rclonepool_report_free(report);
    OK(rclonepool_gc(pool, NULL, NULL, NULL, &report, &error));
    CHECK(number(report, "/marked") >= 0);
    rclonepool_report_free(report);
}

static void *use_all(void *argument) {
    struct seen *seen = argument;
    char path[64];
    int round;

    for (round = 0; round < 5; round++) {
        rclonepool_entry *entry = NULL;
        rclonepool_buffer *buffer = NULL;
        snprintf(path, sizeof path, "/threads/%d/%d", seen->answer, round);
        OK(rclonepool_put(seen->pool, path, path, strlen(path), NULL, NULL, &error));
        OK(rclonepool_stat(seen->pool, path, &entry, &error));
        CHECK(rclonepool_entry_size(entry) == strlen(path));
        rclonepool_entry_free(entry);
        OK(rclonepool_get(seen->pool, path, &buffer, &error));
        CHECK(memcmp(rclonepool_buffer_data(buffer), path, strlen(path)) == 0);
        rclonepool_buffer_free(buffer);
    }
    return NULL;
}

static void test_threads(rclonepool_pool *pool) {
    pthread_t threads[8];
    struct seen seen[8];
    int at;

    for (at = 0; at < 8; at++) {
        seen[at] = watcher(pool);
        seen[at].answer = at;
        CHECK(pthread_create(&threads[at], NULL, use_all, &seen[at]) == 0);
    }
    for (at = 0; at < 8; at++) {
        CHECK(pthread_join(threads[at], NULL) == 0);
    }
}

/* A child may open pools of its own, and not use its parent's. */
static void test_fork(rclonepool_pool *pool) {
    pid_t child = fork();
    int status = -1;

    CHECK(child >= 0);
    if (child == 0) {
        rclonepool_entry *entry = NULL;
        GIVES(RCLONEPOOL_STATUS_UNSUPPORTED, rclonepool_stat(pool, "/", &entry, &error));
        GIVES(RCLONEPOOL_STATUS_UNSUPPORTED, rclonepool_pool_close(pool, &error));
        rclonepool_pool_free(pool);
        pool = open_pool(scratch);
        OK(rclonepool_stat(pool, "/ops/large", &entry, &error));
        rclonepool_entry_free(entry);
        rclonepool_pool_free(pool);
        _exit(42);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static int messages, refused, destroyed;
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;

static void on_message(void *userdata, rclonepool_log_level level, const char *target, const char *message) {
    rclonepool_entry *entry = NULL;
    rclonepool_status status;
    CHECK(level >= RCLONEPOOL_LOG_LEVEL_ERROR && level <= RCLONEPOOL_LOG_LEVEL_TRACE);
    CHECK(target != NULL && message != NULL);
    /* Refused on the library's threads; never a deadlock. */
    status = rclonepool_stat(userdata, "/", &entry, NULL);
    rclonepool_entry_free(status == RCLONEPOOL_STATUS_OK ? entry : NULL);
    CHECK(status == RCLONEPOOL_STATUS_OK || status == RCLONEPOOL_STATUS_BUSY);
    pthread_mutex_lock(&counting);
    messages++;
    refused += status == RCLONEPOOL_STATUS_BUSY;
    pthread_mutex_unlock(&counting);
}

static void on_destroy(void *userdata) {
    CHECK(userdata != NULL);
    pthread_mutex_lock(&counting);
    destroyed++;
    pthread_mutex_unlock(&counting);
}

static void test_messages(rclonepool_pool *pool) {
    char a[600] = "", away[600];
    rclonepool_report *report = NULL;

    INVALID(rclonepool_log_set(on_message, 6, pool, on_destroy, &error));
    CHECK(destroyed == 1);
    /* A remote whose disk is gone is worth words. */
    snprintf(a, sizeof a, "%s/a", scratch);
    snprintf(away, sizeof away, "%s/away", scratch);
    OK(rclonepool_put(pool, "/messages", a, sizeof a, NULL, NULL, &error));
    CHECK(rename(a, away) == 0);
    OK(rclonepool_log_set(on_message, RCLONEPOOL_LOG_LEVEL_TRACE, pool, on_destroy, &error));
    OK(rclonepool_pool_refresh(pool, &error));
    OK(rclonepool_verify(pool, NULL, NULL, NULL, &report, &error));
    CHECK(rclonepool_report_status(report) != RCLONEPOOL_STATUS_OK);
    rclonepool_report_free(report);
    CHECK(rename(away, a) == 0);
    OK(rclonepool_pool_refresh(pool, &error));
    CHECK(messages > 0 && refused > 0);
    OK(rclonepool_log_set(on_message, RCLONEPOOL_LOG_LEVEL_ERROR, pool, on_destroy, &error));
    OK(rclonepool_log_set(NULL, 0, NULL, NULL, &error));
    CHECK(destroyed == 3);
}

/* What is made of a pool outlives its closing, and says so. */
static void test_closing(void) {
    char local[600];
    rclonepool_pool *pool = open_pool(scratch);
    rclonepool_op *op = NULL;
    rclonepool_reader *reader = NULL;
    rclonepool_writer *writer = NULL;
    rclonepool_list *list = NULL;
    rclonepool_entry *entry = NULL;
    char byte;
    size_t read = 0;

    snprintf(local, sizeof local, "%s/large", scratch);
    OK(rclonepool_reader_open(pool, "/ops/large", &reader, &error));
    OK(rclonepool_writer_open(pool, "/closing", NULL, &writer, &error));
    OK(rclonepool_writer_write(writer, "x", 1, &error));
    OK(rclonepool_list_open(pool, "/", NULL, &list, &error));
    OK(rclonepool_watch_start(pool, &op, &error));
    OK(rclonepool_pool_close(pool, &error));
    OK(rclonepool_pool_close(pool, &error));
    INVALID(rclonepool_stat(pool, "/", &entry, &error));
    INVALID(rclonepool_upload_start(pool, local, "/no", NULL, &op, &error));
    CHECK(rclonepool_op_is_done(op));
    GIVES(RCLONEPOOL_STATUS_CANCELLED, rclonepool_op_take(op, NULL, &error));
    INVALID(rclonepool_reader_read(reader, &byte, 1, &read, &error));
    GIVES(RCLONEPOOL_STATUS_CANCELLED, rclonepool_writer_commit(writer, NULL, &error));
    rclonepool_pool_free(pool);
    rclonepool_op_free(op);
    rclonepool_reader_free(reader);
    rclonepool_writer_free(writer);
    rclonepool_list_free(list);
}

static int32_t free_it(void *userdata, const rclonepool_event *event) {
    rclonepool_pool **pool = userdata;
    CHECK(event != NULL);
    rclonepool_pool_free(*pool);
    *pool = NULL;
    return 0;
}

/* Freed by its own callback: closed by a thread of its own, which cancels the call. */
static void test_freed_in_a_callback(void) {
    char local[600];
    rclonepool_pool *pool = open_pool(scratch);
    rclonepool_status status;

    snprintf(local, sizeof local, "%s/large", scratch);
    status = rclonepool_upload(pool, local, "/ops/again", NULL, free_it, &pool, NULL, NULL);
    CHECK(pool == NULL && (status == RCLONEPOOL_STATUS_CANCELLED || status == RCLONEPOOL_STATUS_OK));
    /* Its threads end by themselves; a moment, so that they are not taken for a leak. */
    usleep(500000);
}

int main(int argc, char **argv) {
    rclonepool_pool *pool;

    CHECK(argc >= 2);
    scratch = argv[1];
    pool = open_pool(scratch);
    test_callbacks(pool);
    test_operations(pool);
    test_care(pool);
    test_threads(pool);
    /* Valgrind takes what a child leaves behind for lost. */
    if (argc == 2) {
        test_fork(pool);
    }
    test_messages(pool);
    rclonepool_pool_free(pool);
    test_closing();
    test_freed_in_a_callback();
    puts("ops: all is as promised");
    return 0;
}
