/* Files, lists, streams: what the C ABI promises, from C. Usage: files DIRECTORY */
#define _DEFAULT_SOURCE
#include "check.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *scratch;

static void fill(unsigned char *data, size_t size, unsigned seed) {
    size_t at;
    for (at = 0; at < size; at++) {
        seed = seed * 1103515245u + 12345u;
        data[at] = (unsigned char)(seed >> 16);
    }
}

static void write_local(const char *path, const void *data, size_t size) {
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

static int64_t number(const rclonepool_report *report, const char *place) {
    int64_t value = -1;
    OK(rclonepool_report_integer(report, place, &value, &error));
    return value;
}

static rclonepool_options *with(int32_t option, int64_t value) {
    rclonepool_options *options = rclonepool_options_new();
    OK(rclonepool_options_set_integer(options, option, value, &error));
    return options;
}

/* Bytes in, bytes out, and all that is done with names. */
static void test_files(rclonepool_pool *pool) {
    unsigned char data[5000];
    rclonepool_buffer *buffer = NULL;
    rclonepool_report *report = NULL;
    rclonepool_entry *entry = NULL;
    rclonepool_options *options = rclonepool_options_new();
    const char *text = NULL;
    size_t length = 0;

    fill(data, sizeof data, 1);
    OK(rclonepool_options_set_text(options, RCLONEPOOL_OPTION_CONTENT_TYPE, "video/mp4", &error));
    OK(rclonepool_options_set_integer(options, RCLONEPOOL_OPTION_MTIME_NS, 1234567890, &error));
    OK(rclonepool_put(pool, "/files/a", data, sizeof data, options, &report, &error));
    CHECK(number(report, "/files") == 1 && number(report, "/bytes") == (int64_t)sizeof data);
    CHECK(rclonepool_report_status(report) == RCLONEPOOL_STATUS_OK);
    rclonepool_report_free(report);

    OK(rclonepool_stat(pool, "/files/a", &entry, &error));
    CHECK(rclonepool_entry_size(entry) == sizeof data && rclonepool_entry_mtime_ns(entry) == 1234567890);
    CHECK(rclonepool_entry_get_kind(entry) == RCLONEPOOL_ENTRY_KIND_FILE && !rclonepool_entry_executable(entry));
    CHECK(strcmp(rclonepool_entry_path(entry), "/files/a") == 0 && strcmp(rclonepool_entry_name(entry), "a") == 0);
    CHECK(strcmp(rclonepool_entry_content_type(entry), "video/mp4") == 0);
    CHECK(rclonepool_entry_link_target(entry) == NULL);
    rclonepool_entry_free(entry);
    OK(rclonepool_stat(pool, "/", &entry, &error));
    CHECK(rclonepool_entry_get_kind(entry) == RCLONEPOOL_ENTRY_KIND_DIRECTORY);
    CHECK(strcmp(rclonepool_entry_name(entry), "") == 0);
    rclonepool_entry_free(entry);

    OK(rclonepool_get(pool, "/files/a", &buffer, &error));
    CHECK(rclonepool_buffer_size(buffer) == sizeof data);
    CHECK(memcmp(rclonepool_buffer_data(buffer), data, sizeof data) == 0);
    rclonepool_buffer_free(buffer);
    OK(rclonepool_put(pool, "/files/empty", NULL, 0, NULL, NULL, &error));
    OK(rclonepool_get(pool, "/files/empty", &buffer, &error));
    CHECK(rclonepool_buffer_size(buffer) == 0 && rclonepool_buffer_data(buffer) != NULL);
    rclonepool_buffer_free(buffer);

    OK(rclonepool_layout(pool, "/files/a", &report, &error));
    OK(rclonepool_report_length(report, "/chunks", &length, &error));
    CHECK(length == 1);
    OK(rclonepool_report_length(report, "/chunks/0/shards", &length, &error));
    CHECK(length == 2);
    OK(rclonepool_report_text(report, "/chunks/0/shards/0/remote", &text, &error));
    CHECK(strncmp(text, scratch, strlen(scratch)) == 0 && strstr(rclonepool_report_json(report), text) != NULL);
    rclonepool_report_free(report);

    OK(rclonepool_mkdir(pool, "/files/made", &error));
    GIVES(RCLONEPOOL_STATUS_ALREADY_EXISTS, rclonepool_mkdir(pool, "/files/a/b", &error));
    OK(rclonepool_rename(pool, "/files/a", "/files/b", NULL, NULL, &error));
    GIVES(RCLONEPOOL_STATUS_NOT_FOUND, rclonepool_stat(pool, "/files/a", &entry, &error));
    GIVES(RCLONEPOOL_STATUS_NOT_FOUND, rclonepool_get(pool, "/files/a", &buffer, &error));
    GIVES(RCLONEPOOL_STATUS_ALREADY_EXISTS, rclonepool_rename(pool, "/files/b", "/files/empty", NULL, NULL, &error));
    rclonepool_options_free(options);
    options = with(RCLONEPOOL_OPTION_OVERWRITE, 1);
    OK(rclonepool_rename(pool, "/files/b", "/files/empty", options, NULL, &error));
    INVALID(rclonepool_delete(pool, "/files/empty", options, NULL, &error));
    rclonepool_options_free(options);

    OK(rclonepool_delete(pool, "/files/empty", NULL, NULL, &error));
    OK(rclonepool_trash(pool, NULL, &report, &error));
    OK(rclonepool_report_length(report, "", &length, &error));
    CHECK(length >= 2);
    rclonepool_report_free(report);
    OK(rclonepool_restore(pool, "/files/empty", NULL, &report, &error));
    OK(rclonepool_report_text(report, "/paths/0", &text, &error));
    CHECK(strcmp(text, "/files/empty") == 0);
    rclonepool_report_free(report);
    INVALID(rclonepool_delete(pool, "/files", NULL, NULL, &error));
    options = with(RCLONEPOOL_OPTION_RECURSIVE, 1);
    OK(rclonepool_delete(pool, "/files", options, &report, &error));
    CHECK(number(report, "/entries") == 2);
    rclonepool_report_free(report);
    rclonepool_options_free(options);
    OK(rclonepool_trash_empty(pool, NULL, &report, &error));
    CHECK(number(report, "/versions") > 0);
    rclonepool_report_free(report);
    OK(rclonepool_pool_refresh(pool, &error));
}

/* Lists, plain and recursive, over more than one page. */
static void test_lists(rclonepool_pool *pool) {
    char local[600], path[64], before[64] = "";
    rclonepool_list *list = NULL;
    const rclonepool_entry *entry = NULL;
    rclonepool_options *options = with(RCLONEPOOL_OPTION_RECURSIVE, 1);
    rclonepool_report *report = NULL;
    int at, count = 0;

    snprintf(local, sizeof local, "%s/many", scratch);
    CHECK(mkdir(local, 0777) == 0);
    for (at = 0; at < 1500; at++) {
        snprintf(local, sizeof local, "%s/many/%04d", scratch, at);
        write_local(local, local, 10);
    }
    snprintf(local, sizeof local, "%s/many", scratch);
    OK(rclonepool_upload(pool, local, "/lists/many", NULL, NULL, NULL, &report, &error));
    CHECK(number(report, "/files") == 1500);
    rclonepool_report_free(report);

    OK(rclonepool_list_open(pool, "/lists", NULL, &list, &error));
    OK(rclonepool_list_next(list, &entry, &error));
    CHECK(strcmp(rclonepool_entry_name(entry), "many") == 0);
    CHECK(rclonepool_entry_get_kind(entry) == RCLONEPOOL_ENTRY_KIND_DIRECTORY);
    GIVES(RCLONEPOOL_STATUS_END, rclonepool_list_next(list, &entry, &error));
    CHECK(entry == NULL);
    GIVES(RCLONEPOOL_STATUS_END, rclonepool_list_next(list, &entry, &error));
    rclonepool_list_free(list);

    OK(rclonepool_list_open(pool, "/lists", options, &list, &error));
    while (rclonepool_list_next(list, &entry, NULL) == RCLONEPOOL_STATUS_OK) {
        snprintf(path, sizeof path, "/lists/many/%04d", count++);
        CHECK(strcmp(rclonepool_entry_path(entry), path) == 0 && strcmp(before, path) < 0);
        memcpy(before, path, sizeof path);
    }
    CHECK(count == 1500);
    rclonepool_list_free(list);
    /* Given up half-way. */
    OK(rclonepool_list_open(pool, "/lists/many", NULL, &list, &error));
    OK(rclonepool_list_next(list, &entry, &error));
    rclonepool_list_free(list);
    GIVES(RCLONEPOOL_STATUS_DIRECTORY_NOT_FOUND, rclonepool_list_open(pool, "/no", options, &list, &error));
    INVALID(rclonepool_list_open(pool, "/lists/many/0001", options, &list, &error));
    rclonepool_options_free(options);
}

#define LARGE (3u * 1048576u + 12345u)

/* Streams: commit, abort, and what is over. */
static void test_writer(rclonepool_pool *pool) {
    static unsigned char data[LARGE];
    rclonepool_writer *writer = NULL;
    rclonepool_entry *entry = NULL;
    rclonepool_report *report = NULL;
    rclonepool_buffer *buffer = NULL;
    size_t at, part;

    fill(data, sizeof data, 2);
    OK(rclonepool_writer_open(pool, "/streams/w", NULL, &writer, &error));
    for (at = 0, part = 1; at < sizeof data; at += part, part = part * 3 + 1) {
        part = part < sizeof data - at ? part : sizeof data - at;
        OK(rclonepool_writer_write(writer, data + at, part, &error));
    }
    OK(rclonepool_writer_write(writer, NULL, 0, &error));
    GIVES(RCLONEPOOL_STATUS_NOT_FOUND, rclonepool_stat(pool, "/streams/w", &entry, &error));
    OK(rclonepool_writer_commit(writer, &report, &error));
    CHECK(number(report, "/bytes") == (int64_t)LARGE);
    rclonepool_report_free(report);
    INVALID(rclonepool_writer_commit(writer, NULL, &error));
    INVALID(rclonepool_writer_write(writer, data, 1, &error));
    rclonepool_writer_abort(writer);
    rclonepool_writer_free(writer);
    OK(rclonepool_get(pool, "/streams/w", &buffer, &error));
    CHECK(rclonepool_buffer_size(buffer) == LARGE && memcmp(rclonepool_buffer_data(buffer), data, LARGE) == 0);
    rclonepool_buffer_free(buffer);

    OK(rclonepool_writer_open(pool, "/streams/aborted", NULL, &writer, &error));
    OK(rclonepool_writer_write(writer, data, LARGE, &error));
    rclonepool_writer_abort(writer);
    INVALID(rclonepool_writer_commit(writer, NULL, &error));
    rclonepool_writer_free(writer);
    OK(rclonepool_writer_open(pool, "/streams/dropped", NULL, &writer, &error));
    OK(rclonepool_writer_write(writer, data, 10, &error));
    rclonepool_writer_free(writer);
    OK(rclonepool_writer_open(pool, "/streams/nothing", NULL, &writer, &error));
    OK(rclonepool_writer_commit(writer, NULL, &error));
    rclonepool_writer_free(writer);
    /* A directory in its place: told at the latest by the commit. */
    OK(rclonepool_writer_open(pool, "/streams", NULL, &writer, &error));
    GIVES(RCLONEPOOL_STATUS_ALREADY_EXISTS, rclonepool_writer_commit(writer, NULL, &error));
    rclonepool_writer_free(writer);
    GIVES(RCLONEPOOL_STATUS_NOT_FOUND, rclonepool_stat(pool, "/streams/aborted", &entry, &error));
    GIVES(RCLONEPOOL_STATUS_NOT_FOUND, rclonepool_stat(pool, "/streams/dropped", &entry, &error));
    OK(rclonepool_stat(pool, "/streams/nothing", &entry, &error));
    rclonepool_entry_free(entry);
}

struct readers {
    const rclonepool_reader *reader;
    const unsigned char *data;
    unsigned seed;
};

static void *read_much(void *argument) {
    struct readers *readers = argument;
    unsigned char buffer[70000];
    unsigned seed = readers->seed;
    int round;

    for (round = 0; round < 40; round++) {
        uint64_t offset;
        size_t size, read = 0, expected;
        seed = seed * 1103515245u + 12345u;
        offset = seed % (LARGE + 1000);
        size = seed / 7 % sizeof buffer;
        OK(rclonepool_reader_pread(readers->reader, offset, buffer, size, &read, &error));
        expected = offset >= LARGE ? 0 : LARGE - offset < size ? (size_t)(LARGE - offset) : size;
        CHECK(read == expected && memcmp(buffer, readers->data + (expected ? offset : 0), read) == 0);
    }
    return NULL;
}

/* Reading in order, by position, and by several threads at once. */
static void test_reader(rclonepool_pool *pool) {
    static unsigned char data[LARGE], buffer[100001];
    rclonepool_reader *reader = NULL;
    size_t read = 0, at = 0, round;
    uint64_t position = 0;
    pthread_t threads[4];
    struct readers readers[4];

    fill(data, sizeof data, 3);
    OK(rclonepool_put(pool, "/reads/r", data, sizeof data, NULL, NULL, &error));
    OK(rclonepool_reader_open(pool, "/reads/r", &reader, &error));
    CHECK(rclonepool_reader_size(reader) == LARGE);
    do {
        OK(rclonepool_reader_read(reader, buffer, sizeof buffer, &read, &error));
        CHECK(memcmp(buffer, data + at, read) == 0);
        at += read;
    } while (read > 0);
    CHECK(at == LARGE);
    OK(rclonepool_reader_seek(reader, -10, RCLONEPOOL_WHENCE_END, &position, &error));
    CHECK(position == LARGE - 10);
    OK(rclonepool_reader_read(reader, buffer, sizeof buffer, &read, &error));
    CHECK(read == 10 && memcmp(buffer, data + LARGE - 10, 10) == 0);
    OK(rclonepool_reader_seek(reader, -20, RCLONEPOOL_WHENCE_CURRENT, NULL, &error));
    OK(rclonepool_reader_seek(reader, 1000, RCLONEPOOL_WHENCE_END, &position, &error));
    OK(rclonepool_reader_read(reader, buffer, 1, &read, &error));
    CHECK(read == 0);
    INVALID(rclonepool_reader_seek(reader, -1, RCLONEPOOL_WHENCE_SET, &position, &error));
    INVALID(rclonepool_reader_seek(reader, INT64_MIN, RCLONEPOOL_WHENCE_END, &position, &error));
    INVALID(rclonepool_reader_seek(reader, INT64_MAX, RCLONEPOOL_WHENCE_END, &position, &error));
    INVALID(rclonepool_reader_seek(reader, 0, 3, &position, &error));
    CHECK(position == LARGE + 1000);
    for (round = 0; round < 4; round++) {
        readers[round].reader = reader;
        readers[round].data = data;
        readers[round].seed = (unsigned)round;
        CHECK(pthread_create(&threads[round], NULL, read_much, &readers[round]) == 0);
    }
    for (round = 0; round < 4; round++) {
        CHECK(pthread_join(threads[round], NULL) == 0);
    }
    OK(rclonepool_reader_pread(reader, UINT64_MAX, buffer, 5, &read, &error));
    CHECK(read == 0);
    OK(rclonepool_reader_pread(reader, 0, NULL, 0, &read, &error));
    INVALID(rclonepool_reader_pread(reader, 0, NULL, 5, &read, &error));
    INVALID(rclonepool_reader_pread(reader, 0, buffer, SIZE_MAX, &read, &error));
    rclonepool_reader_free(reader);
    INVALID(rclonepool_reader_open(pool, "reads/r", &reader, &error));
    GIVES(RCLONEPOOL_STATUS_NOT_FOUND, rclonepool_reader_open(pool, "/reads/no", &reader, &error));
}

/* Local files up and down, and what fails of several. */
static void test_transfer(rclonepool_pool *pool) {
    static unsigned char data[LARGE];
    char local[600], back[600];
    rclonepool_options *options = rclonepool_options_new();
    rclonepool_report *report = NULL;
    rclonepool_error *failure = NULL;
    struct stat found;

    fill(data, sizeof data, 4);
    snprintf(local, sizeof local, "%s/up", scratch);
    CHECK(mkdir(local, 0777) == 0);
    snprintf(local, sizeof local, "%s/up/a.bin", scratch);
    write_local(local, data, sizeof data);
    OK(rclonepool_upload(pool, local, "/up/a.bin", NULL, NULL, NULL, &report, &error));
    CHECK(number(report, "/bytes") == (int64_t)LARGE);
    rclonepool_report_free(report);
    OK(rclonepool_upload(pool, local, "/up/a.bin", NULL, NULL, NULL, &report, &error));
    CHECK(number(report, "/unchanged") == 1);
    rclonepool_report_free(report);
    snprintf(back, sizeof back, "%s/back.bin", scratch);
    OK(rclonepool_download(pool, "/up/a.bin", back, NULL, NULL, NULL, NULL, &error));
    CHECK(stat(back, &found) == 0 && found.st_size == (off_t)LARGE);
    OK(rclonepool_repair(pool, "/up/a.bin", local, NULL, NULL, NULL, &report, &error));
    CHECK(number(report, "/checked") > 0);
    rclonepool_report_free(report);
    write_local(local, data, 10);
    INVALID(rclonepool_repair(pool, "/up/a.bin", local, NULL, NULL, NULL, &report, &error));

    OK(rclonepool_options_set_text(options, RCLONEPOOL_OPTION_EXCLUDE, "*.bin", &error));
    snprintf(local, sizeof local, "%s/up/b.txt", scratch);
    write_local(local, "text", 4);
    snprintf(local, sizeof local, "%s/up", scratch);
    OK(rclonepool_upload(pool, local, "/part", options, NULL, NULL, &report, &error));
    CHECK(number(report, "/files") == 1);
    rclonepool_report_free(report);
    OK(rclonepool_options_set_text(options, RCLONEPOOL_OPTION_INCLUDE, "[", &error));
    INVALID(rclonepool_upload(pool, local, "/part", options, NULL, NULL, &report, &error));
    rclonepool_options_free(options);

    /* A directory stands where a file is to go: the rest goes on, and both report and error say so. */
    snprintf(local, sizeof local, "%s/down", scratch);
    CHECK(mkdir(local, 0777) == 0);
    snprintf(local, sizeof local, "%s/down/b.txt", scratch);
    CHECK(mkdir(local, 0777) == 0);
    OK(rclonepool_put(pool, "/part/c.txt", "more", 4, NULL, NULL, &error));
    snprintf(local, sizeof local, "%s/down", scratch);
    report = NULL;
    CHECK(rclonepool_download(pool, "/part", local, NULL, NULL, NULL, &report, &failure) == RCLONEPOOL_STATUS_PARTIAL);
    CHECK(failure != NULL && report != NULL);
    CHECK(number(report, "/failed") == 1 && number(report, "/files") == 1);
    CHECK(rclonepool_report_status(report) == RCLONEPOOL_STATUS_PARTIAL);
    rclonepool_report_free(report);
    rclonepool_error_free(failure);
}

int main(int argc, char **argv) {
    rclonepool_pool *pool;

    CHECK(argc == 2);
    scratch = argv[1];
    CHECK(rclonepool_version_number() == RCLONEPOOL_VERSION_NUMBER);
    pool = open_pool(scratch);
    test_files(pool);
    test_lists(pool);
    test_writer(pool);
    test_reader(pool);
    test_transfer(pool);
    OK(rclonepool_pool_close(pool, &error));
    rclonepool_pool_free(pool);
    puts("files: all is as promised");
    return 0;
}
