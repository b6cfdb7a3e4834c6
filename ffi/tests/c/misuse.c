/* NULL, wrong handles, bad text, impossible numbers: refused, never undefined. Usage: misuse DIRECTORY */
#include "check.h"

#include <stddef.h>
#include <stdint.h>

#define BAD "\xff/x"

static void test_null(const rclonepool_pool *pool) {
    rclonepool_pool *opened = NULL;
    rclonepool_entry *entry = NULL;
    rclonepool_list *list = NULL;
    rclonepool_buffer *buffer = NULL;
    rclonepool_reader *reader = NULL;
    rclonepool_writer *writer = NULL;
    rclonepool_op *op = NULL;
    rclonepool_plan *plan = NULL;
    rclonepool_report *report = NULL;
    rclonepool_progress progress;
    size_t size = 77;
    int64_t integer = 77;
    int32_t done = 77;

    INVALID(rclonepool_pool_open(NULL, NULL, &opened, &error));
    INVALID(rclonepool_pool_open_json("{}", NULL, NULL, &error));
    INVALID(rclonepool_init(NULL, NULL, &report, &error));
    INVALID(rclonepool_pool_refresh(NULL, &error));
    INVALID(rclonepool_pool_close(NULL, &error));
    INVALID(rclonepool_stat(NULL, "/", &entry, &error));
    INVALID(rclonepool_stat(pool, NULL, &entry, &error));
    INVALID(rclonepool_stat(pool, "/", NULL, &error));
    INVALID(rclonepool_list_open(NULL, "/", NULL, &list, &error));
    INVALID(rclonepool_list_open(pool, "/", NULL, NULL, &error));
    INVALID(rclonepool_list_next(NULL, NULL, &error));
    INVALID(rclonepool_layout(pool, "/", NULL, &error));
    INVALID(rclonepool_mkdir(pool, NULL, &error));
    INVALID(rclonepool_delete(pool, NULL, NULL, NULL, &error));
    INVALID(rclonepool_rename(pool, "/a", NULL, NULL, NULL, &error));
    INVALID(rclonepool_copy(pool, NULL, "/a", NULL, NULL, &error));
    INVALID(rclonepool_trash(pool, NULL, NULL, &error));
    INVALID(rclonepool_restore(pool, NULL, NULL, NULL, &error));
    INVALID(rclonepool_put(pool, "/a", NULL, 1, NULL, NULL, &error));
    INVALID(rclonepool_put(pool, "/a", "x", SIZE_MAX, NULL, NULL, &error));
    INVALID(rclonepool_get(pool, "/a", NULL, &error));
    INVALID(rclonepool_get(NULL, "/a", &buffer, &error));
    INVALID(rclonepool_reader_open(pool, "/a", NULL, &error));
    INVALID(rclonepool_reader_open(NULL, "/a", &reader, &error));
    INVALID(rclonepool_reader_read(NULL, &done, 1, &size, &error));
    INVALID(rclonepool_reader_seek(NULL, 0, 0, NULL, &error));
    INVALID(rclonepool_writer_open(pool, "/a", NULL, NULL, &error));
    INVALID(rclonepool_writer_open(NULL, "/a", NULL, &writer, &error));
    INVALID(rclonepool_writer_write(NULL, "x", 1, &error));
    INVALID(rclonepool_writer_commit(NULL, NULL, &error));
    INVALID(rclonepool_upload(pool, NULL, "/a", NULL, NULL, NULL, NULL, &error));
    INVALID(rclonepool_upload_start(pool, "/tmp", "/a", NULL, NULL, &error));
    INVALID(rclonepool_download_start(NULL, "/a", "/tmp", NULL, &op, &error));
    INVALID(rclonepool_rebuild_plan(pool, NULL, NULL, NULL, NULL, &error));
    INVALID(rclonepool_rebuild_plan(NULL, NULL, NULL, NULL, &plan, &error));
    INVALID(rclonepool_plan_perform(pool, NULL, NULL, NULL, NULL, &error));
    INVALID(rclonepool_loss_plan(pool, NULL, 3, NULL, NULL, &plan, &error));
    INVALID(rclonepool_op_wait(NULL, 0, NULL, NULL, &done, &error));
    INVALID(rclonepool_op_progress(NULL, &progress, &error));
    INVALID(rclonepool_op_take(NULL, &report, &error));
    INVALID(rclonepool_op_take_plan(NULL, &plan, &error));
    INVALID(rclonepool_report_integer(NULL, "/x", &integer, &error));
    INVALID(rclonepool_options_set_integer(NULL, RCLONEPOOL_OPTION_FORCE, 1, &error));
    INVALID(rclonepool_options_set_text(NULL, RCLONEPOOL_OPTION_PATH, "/", &error));
    CHECK(size == 77 && integer == 77 && done == 77);
    CHECK(!opened && !entry && !list && !buffer && !reader && !writer && !op && !plan && !report);

    /* What cannot fail. */
    CHECK(rclonepool_op_is_done(NULL) == 1 && rclonepool_reader_size(NULL) == 0 && rclonepool_buffer_size(NULL) == 0);
    CHECK(rclonepool_entry_size(NULL) == 0 && rclonepool_entry_path(NULL)[0] == '\0');
    CHECK(rclonepool_entry_get_kind(NULL) == RCLONEPOOL_ENTRY_KIND_NONE && rclonepool_buffer_data(NULL) == NULL);
    CHECK(rclonepool_report_json(NULL)[0] == '\0' && rclonepool_plan_report(NULL) == NULL);
    CHECK(rclonepool_error_remote(NULL) == NULL && rclonepool_error_hint(NULL) == NULL);
    rclonepool_op_cancel(NULL);
    rclonepool_writer_abort(NULL);
    rclonepool_pool_free(NULL);
    rclonepool_entry_free(NULL);
    rclonepool_list_free(NULL);
    rclonepool_buffer_free(NULL);
    rclonepool_reader_free(NULL);
    rclonepool_writer_free(NULL);
    rclonepool_op_free(NULL);
    rclonepool_plan_free(NULL);
    rclonepool_report_free(NULL);
    rclonepool_options_free(NULL);
    rclonepool_error_free(NULL);
    /* Nobody wants the error, the report, or the events. */
    CHECK(rclonepool_stat(NULL, NULL, NULL, NULL) == RCLONEPOOL_STATUS_INVALID_ARGUMENT);
    CHECK(rclonepool_pool_status(pool, NULL, NULL, NULL, NULL) == RCLONEPOOL_STATUS_OK);
}

static void test_wrong_handles(rclonepool_pool *pool) {
    rclonepool_options *options = rclonepool_options_new();
    rclonepool_report *report = NULL;
    rclonepool_entry *entry = NULL;
    int64_t value = 0;

    OK(rclonepool_pool_status(pool, NULL, NULL, &report, &error));
    INVALID(rclonepool_stat((rclonepool_pool *)(void *)options, "/", &entry, &error));
    INVALID(rclonepool_stat((rclonepool_pool *)(void *)report, "/", &entry, &error));
    INVALID(rclonepool_report_integer((rclonepool_report *)(void *)pool, "/files", &value, &error));
    INVALID(rclonepool_verify(pool, (rclonepool_options *)(void *)report, NULL, NULL, NULL, &error));
    INVALID(rclonepool_plan_perform(pool, (rclonepool_plan *)(void *)report, NULL, NULL, NULL, &error));
    INVALID(rclonepool_op_take((rclonepool_op *)(void *)pool, NULL, &error));
    CHECK(rclonepool_reader_size((rclonepool_reader *)(void *)options) == 0);
    /* Not freed as something else. */
    rclonepool_pool_free((rclonepool_pool *)(void *)options);
    rclonepool_report_free((rclonepool_report *)(void *)options);
    OK(rclonepool_options_set_integer(options, RCLONEPOOL_OPTION_FORCE, 1, &error));
    rclonepool_report_free(report);
    rclonepool_options_free(options);
}

static void test_text(rclonepool_pool *pool, const char *scratch) {
    char config[4096], *deep = malloc(70001);
    rclonepool_pool *opened = NULL;
    rclonepool_entry *entry = NULL;
    rclonepool_report *report = NULL;
    rclonepool_options *options = rclonepool_options_new();
    int64_t value = 0;

    CHECK(deep != NULL);
    INVALID(rclonepool_stat(pool, BAD, &entry, &error));
    INVALID(rclonepool_stat(pool, "", &entry, &error));
    INVALID(rclonepool_stat(pool, "a", &entry, &error));
    INVALID(rclonepool_stat(pool, "/../a", &entry, &error));
    INVALID(rclonepool_put(pool, "/.rclonepool/x", "x", 1, NULL, NULL, &error));
    memset(deep, 'a', 70000);
    deep[0] = '/';
    deep[70000] = '\0';
    INVALID(rclonepool_put(pool, deep, "x", 1, NULL, NULL, &error));
    free(deep);
    GIVES(RCLONEPOOL_STATUS_CONFIG, rclonepool_pool_open_json("", NULL, &opened, &error));
    GIVES(RCLONEPOOL_STATUS_CONFIG, rclonepool_pool_open_json("{\"remote\": 1}", NULL, &opened, &error));
    GIVES(RCLONEPOOL_STATUS_CONFIG, rclonepool_pool_open_json("{\"remotes\": [\"/x\"]}", NULL, &opened, &error));
    INVALID(rclonepool_pool_open_json(BAD, NULL, &opened, &error));
    GIVES(RCLONEPOOL_STATUS_NOT_FOUND, rclonepool_pool_open("/no/such/file", NULL, &opened, &error));
    configure(config, sizeof config, scratch);
    OK(rclonepool_options_set_text(options, RCLONEPOOL_OPTION_ENV, "no equals sign", &error));
    INVALID(rclonepool_pool_open_json(config, options, &opened, &error));
    rclonepool_options_free(options);
    options = rclonepool_options_new();
    OK(rclonepool_options_set_integer(options, RCLONEPOOL_OPTION_WORKERS, 1, &error));
    OK(rclonepool_options_set_integer(options, RCLONEPOOL_OPTION_INHERIT_ENV, 1, &error));
    OK(rclonepool_options_set_text(options, RCLONEPOOL_OPTION_HOME, scratch, &error));
    OK(rclonepool_pool_open_json(config, options, &opened, &error));
    rclonepool_pool_free(opened);
    INVALID(rclonepool_options_set_integer(options, RCLONEPOOL_OPTION_WORKERS, 0, &error));
    INVALID(rclonepool_options_set_integer(options, 4711, 0, &error));
    INVALID(rclonepool_options_set_text(options, RCLONEPOOL_OPTION_WORKERS, "2", &error));
    INVALID(rclonepool_options_set_text(options, RCLONEPOOL_OPTION_PATH, BAD, &error));
    INVALID(rclonepool_options_set_text(options, RCLONEPOOL_OPTION_PATH, NULL, &error));
    rclonepool_options_free(options);

    OK(rclonepool_pool_status(pool, NULL, NULL, &report, &error));
    INVALID(rclonepool_report_integer(report, NULL, &value, &error));
    INVALID(rclonepool_report_integer(report, BAD, &value, &error));
    INVALID(rclonepool_report_integer(report, "/pool", &value, &error));
    INVALID(rclonepool_report_integer(report, "/files", NULL, &error));
    GIVES(RCLONEPOOL_STATUS_NOT_FOUND, rclonepool_report_integer(report, "/remotes/99/name", &value, &error));
    rclonepool_report_free(report);
}

/* What callbacks are handed lies where programs that were compiled earlier look for it. */
static void test_layout(void) {
    CHECK(offsetof(rclonepool_event, struct_size) == 0 && offsetof(rclonepool_event, kind) == 4);
    CHECK(offsetof(rclonepool_event, bytes_done) == 8 && offsetof(rclonepool_event, bytes_total) == 16);
    CHECK(offsetof(rclonepool_event, items_done) == 24 && offsetof(rclonepool_event, items_total) == 32);
    CHECK(offsetof(rclonepool_event, size) == 40 && offsetof(rclonepool_event, path) == 48);
    CHECK(offsetof(rclonepool_event, text) == 48 + sizeof(void *));
    CHECK(offsetof(rclonepool_event, json) == 48 + 2 * sizeof(void *));
}

int main(int argc, char **argv) {
    rclonepool_pool *pool;

    CHECK(argc == 2);
    pool = open_pool(argv[1]);
    test_layout();
    test_null(pool);
    test_wrong_handles(pool);
    test_text(pool, argv[1]);
    rclonepool_pool_free(pool);
    puts("misuse: all is refused");
    return 0;
}
