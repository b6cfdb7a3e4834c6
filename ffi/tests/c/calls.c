/* Any sequence of calls, of any arguments, does what is documented or fails: never anything else.
 *
 * As a fuzz target: clang -fsanitize=fuzzer,address calls.c; CALLS_DIRECTORY names a scratch directory.
 * By itself: cc -DALONE calls.c; calls DIRECTORY SEED COUNT makes up the sequences. */
#define _DEFAULT_SOURCE
#include "check.h"

#include <stdint.h>
#include <unistd.h>

#define SLOTS 4

static rclonepool_pool *pool;
static char local[1100];

/* The bytes that say what to do. */
struct tape {
    const uint8_t *data;
    size_t size;
};

static unsigned next(struct tape *tape) {
    unsigned byte = 0;
    if (tape->size > 0) {
        byte = *tape->data++;
        tape->size--;
    }
    return byte;
}

static const char *const paths[] = {"/a", "/a/b", "/d", "/d/e", "/d/e/f", "/", "", "relative", "/..", "\xff", NULL, "/large"};
#define PATH paths[next(tape) % (sizeof paths / sizeof *paths)]

static int64_t number(struct tape *tape) {
    static const int64_t odd[] = {0, 1, 2, -1, 100, INT64_MAX, INT64_MIN, 65536, 1000000};
    return odd[next(tape) % (sizeof odd / sizeof *odd)];
}

static int32_t on_event(void *userdata, const rclonepool_event *event) {
    struct tape *tape = userdata;
    CHECK(event->struct_size == sizeof *event);
    if (next(tape) % 8 == 0) {
        rclonepool_entry *entry = NULL;
        rclonepool_stat(pool, PATH, &entry, NULL);
        rclonepool_entry_free(entry);
    }
    return next(tape) % 4 == 0;
}

/* What was made and not freed yet. */
struct things {
    rclonepool_options *options[SLOTS];
    rclonepool_reader *readers[SLOTS];
    rclonepool_writer *writers[SLOTS];
    rclonepool_list *lists[SLOTS];
    rclonepool_op *ops[SLOTS];
    rclonepool_plan *plans[SLOTS];
    rclonepool_report *reports[SLOTS];
};

/* One in four is of a wrong kind: handles of C can be cast to anything. */
#define WRONG(type, right) (next(tape) % 16 == 0 ? (type *)(void *)things->options[0] : (right))

static rclonepool_status call(struct tape *tape, struct things *things, rclonepool_error **error) {
    static unsigned char bytes[300000];
    rclonepool_entry *entry = NULL;
    const rclonepool_entry *lent = NULL;
    rclonepool_buffer *buffer = NULL;
    rclonepool_report *report = NULL;
    unsigned what = next(tape) % 36, slot = next(tape) % SLOTS;
    rclonepool_options *options = things->options[slot];
    rclonepool_status status = RCLONEPOOL_STATUS_OK;
    size_t size = (size_t)(next(tape) * 1171u) % sizeof bytes, read = 0;
    int64_t value = 0;
    const char *text = NULL;
    int32_t done = 0;

    switch (what) {
    case 0: status = rclonepool_put(pool, PATH, bytes, size, options, &report, error); break;
    case 1: status = rclonepool_get(pool, PATH, &buffer, error); break;
    case 2: status = rclonepool_stat(pool, PATH, &entry, error); break;
    case 3: status = rclonepool_mkdir(pool, PATH, error); break;
    case 4: status = rclonepool_delete(pool, PATH, options, &report, error); break;
    case 5: {
        const char *from = PATH;
        status = rclonepool_rename(pool, from, PATH, options, &report, error);
        break;
    }
    case 6: status = rclonepool_restore(pool, PATH, options, &report, error); break;
    case 7:
        rclonepool_list_free(things->lists[slot]);
        things->lists[slot] = NULL;
        status = rclonepool_list_open(pool, PATH, options, &things->lists[slot], error);
        break;
    case 8: status = rclonepool_list_next(WRONG(rclonepool_list, things->lists[slot]), &lent, error); break;
    case 9:
        rclonepool_reader_free(things->readers[slot]);
        things->readers[slot] = NULL;
        status = rclonepool_reader_open(pool, PATH, &things->readers[slot], error);
        break;
    case 10: status = rclonepool_reader_read(things->readers[slot], bytes, size, &read, error); break;
    case 11: {
        uint64_t at = (uint64_t)number(tape);
        status = rclonepool_reader_pread(WRONG(rclonepool_reader, things->readers[slot]), at, bytes, size, &read, error);
        break;
    }
    case 12: {
        int64_t to = number(tape);
        status = rclonepool_reader_seek(things->readers[slot], to, (int32_t)next(tape) % 4, NULL, error);
        break;
    }
    case 13:
        rclonepool_writer_free(things->writers[slot]);
        things->writers[slot] = NULL;
        status = rclonepool_writer_open(pool, PATH, options, &things->writers[slot], error);
        break;
    case 14:
    case 15: status = rclonepool_writer_write(WRONG(rclonepool_writer, things->writers[slot]), bytes, size, error); break;
    case 16: status = rclonepool_writer_commit(things->writers[slot], &report, error); break;
    case 17: rclonepool_writer_abort(things->writers[slot]); break;
    case 18:
        rclonepool_options_free(things->options[slot]);
        things->options[slot] = next(tape) % 4 == 0 ? NULL : rclonepool_options_new();
        break;
    case 19: {
        int32_t option = (int32_t)(next(tape) % 30);
        status = rclonepool_options_set_integer(options, option, number(tape), error);
        break;
    }
    case 20: {
        int32_t option = (int32_t)(next(tape) % 30);
        status = rclonepool_options_set_text(options, option, PATH, error);
        break;
    }
    case 21: status = rclonepool_upload(pool, local, PATH, options, on_event, tape, &report, error); break;
    case 22: status = rclonepool_verify(pool, options, on_event, tape, &report, error); break;
    case 23: status = rclonepool_health(pool, options, on_event, tape, &report, error); break;
    case 24: status = rclonepool_pool_status(pool, on_event, tape, &report, error); break;
    case 25:
        rclonepool_op_free(things->ops[slot]);
        things->ops[slot] = NULL;
        switch (next(tape) % 4) {
        case 0: status = rclonepool_upload_start(pool, local, PATH, options, &things->ops[slot], error); break;
        case 1: status = rclonepool_verify_start(pool, options, &things->ops[slot], error); break;
        case 2: status = rclonepool_rebalance_plan_start(pool, (double)number(tape), &things->ops[slot], error); break;
        default: status = rclonepool_watch_start(pool, &things->ops[slot], error); break;
        }
        break;
    case 26: status = rclonepool_op_wait(things->ops[slot], next(tape) % 8, on_event, tape, &done, error); break;
    case 27: status = rclonepool_op_take(WRONG(rclonepool_op, things->ops[slot]), &report, error); break;
    case 28:
        rclonepool_plan_free(things->plans[slot]);
        things->plans[slot] = NULL;
        status = rclonepool_op_take_plan(things->ops[slot], &things->plans[slot], error);
        break;
    case 29:
        rclonepool_plan_free(things->plans[slot]);
        things->plans[slot] = NULL;
        status = rclonepool_rebuild_plan(pool, options, on_event, tape, &things->plans[slot], error);
        break;
    case 30: status = rclonepool_plan_perform(pool, WRONG(rclonepool_plan, things->plans[slot]), on_event, tape, &report, error); break;
    case 31: rclonepool_op_cancel(things->ops[slot]); break;
    case 32: status = rclonepool_report_integer(WRONG(rclonepool_report, things->reports[slot]), PATH, &value, error); break;
    case 33: status = rclonepool_report_text(things->reports[slot], "/state", &text, error); break;
    case 34: status = rclonepool_layout(pool, PATH, &report, error); break;
    default: status = rclonepool_trash(pool, options, &report, error); break;
    }
    CHECK(read <= size);
    if (report != NULL) {
        rclonepool_report_free(things->reports[slot]);
        things->reports[slot] = report;
    }
    rclonepool_entry_free(entry);
    rclonepool_buffer_free(buffer);
    return status;
}

static void run(const uint8_t *data, size_t size) {
    struct tape tape;
    struct things things;
    int calls, slot;

    tape.data = data;
    tape.size = size;
    memset(&things, 0, sizeof things);
    for (calls = 0; tape.size > 0 && calls < 64; calls++) {
        rclonepool_error *error = NULL;
        rclonepool_status status = call(&tape, &things, &error);
        if (status == RCLONEPOOL_STATUS_INTERNAL) {
            fprintf(stderr, "a bug: %s\n", rclonepool_error_message(error));
            abort();
        }
        CHECK((status < 0) == (error != NULL) && rclonepool_error_status(error) == (error ? status : 0));
        rclonepool_error_free(error);
    }
    for (slot = 0; slot < SLOTS; slot++) {
        rclonepool_op_free(things.ops[slot]);
        rclonepool_reader_free(things.readers[slot]);
        rclonepool_writer_free(things.writers[slot]);
        rclonepool_list_free(things.lists[slot]);
        rclonepool_plan_free(things.plans[slot]);
        rclonepool_report_free(things.reports[slot]);
        rclonepool_options_free(things.options[slot]);
    }
}

static void prepare(const char *scratch) {
    static char zeros[200000];
    FILE *file;
    snprintf(local, sizeof local, "%s/local", scratch);
    file = fopen(local, "wb");
    CHECK(file != NULL && fwrite(zeros, 1, sizeof zeros, file) == sizeof zeros && fclose(file) == 0);
    pool = open_pool(scratch);
}

#ifdef ALONE
int main(int argc, char **argv) {
    uint32_t seed;
    int count;

    CHECK(argc == 4);
    prepare(argv[1]);
    seed = (uint32_t)strtoul(argv[2], NULL, 10);
    for (count = atoi(argv[3]); count > 0; count--) {
        uint8_t data[256];
        size_t at;
        for (at = 0; at < sizeof data; at++) {
            seed = seed * 1664525u + 1013904223u;
            data[at] = (uint8_t)(seed >> 24);
        }
        run(data, sizeof data);
    }
    rclonepool_pool_free(pool);
    puts("calls: all was answered");
    return 0;
}
#else
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (pool == NULL) {
        const char *scratch = getenv("CALLS_DIRECTORY");
        CHECK(scratch != NULL);
        prepare(scratch);
    }
    run(data, size);
    return 0;
}
#endif
