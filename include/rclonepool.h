/** @file
 * rclonepool: one storage pool out of many rclone remotes. The C ABI.
 * Generated from ffi/src by cbindgen: do not edit, run `make header`.
 *
 * - Handles are opaque. What a call gives you is freed by the object's `_free`, which takes NULL too; what it
 *   lends you says so.
 * - A call that can fail returns a rclonepool_status: 0, or a negative code that is never renumbered. Its last
 *   parameter, rclonepool_error **, may be NULL; it is written only on failure, and what is written there is yours
 *   to free. Other answers are written only on success.
 * - Text goes in as NUL-terminated UTF-8; text that comes out lives as long as its owner.
 * - Functions may be called from any thread. A handle taken by a const pointer may be used by several threads at
 *   once; one taken by a non-const pointer must not be in use elsewhere at that time.
 * - NULL, a handle of another kind, bad UTF-8 and lengths that cannot be are refused with
 *   RCLONEPOOL_STATUS_INVALID_ARGUMENT; so is any call with a pool that is closed. Beside those that a function names,
 *   it may fail with RCLONEPOOL_STATUS_INTERNAL, which is a bug of the library.
 * - Long operations come in pairs: one that returns when all is done, while it calls back on your thread; and one
 *   whose name ends in _start, which returns at once and gives a rclonepool_op to poll, wait for and cancel.
 */

#ifndef RCLONEPOOL_H
#define RCLONEPOOL_H

#include <stddef.h>
#include <stdint.h>

/** The version of this header; rclonepool_version_number() gives that of the library. */
#define RCLONEPOOL_VERSION_MAJOR 0
/** Its second part. */
#define RCLONEPOOL_VERSION_MINOR 1
/** Its third part. */
#define RCLONEPOOL_VERSION_PATCH 0
/** All of it: major * 1000000 + minor * 1000 + patch. */
#define RCLONEPOOL_VERSION_NUMBER 1000

/**
 * What a call returns: 0, one negative code per kind of failure, or, from iterators, 1 at the end. Codes are
 * never renumbered; later versions may add some.
 */
enum rclonepool_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * There is no more: the end of a list. No failure.
   */
  RCLONEPOOL_STATUS_END = 1,
  /**
   * It worked.
   */
  RCLONEPOOL_STATUS_OK = 0,
  /**
   * The file or object is definitely not there.
   */
  RCLONEPOOL_STATUS_NOT_FOUND = -1,
  /**
   * The directory is definitely not there.
   */
  RCLONEPOOL_STATUS_DIRECTORY_NOT_FOUND = -2,
  /**
   * Something is there already, and would be overwritten or is of another kind.
   */
  RCLONEPOOL_STATUS_ALREADY_EXISTS = -3,
  /**
   * A path, argument or option that cannot be used.
   */
  RCLONEPOOL_STATUS_INVALID_ARGUMENT = -4,
  /**
   * The configuration is wrong.
   */
  RCLONEPOOL_STATUS_CONFIG = -5,
  /**
   * What was asked is not supported here (or not yet).
   */
  RCLONEPOOL_STATUS_UNSUPPORTED = -6,
  /**
   * A remote (or too many of them) cannot be reached.
   */
  RCLONEPOOL_STATUS_UNAVAILABLE = -7,
  /**
   * The remote asks for fewer requests.
   */
  RCLONEPOOL_STATUS_RATE_LIMITED = -8,
  /**
   * A time limit passed.
   */
  RCLONEPOOL_STATUS_TIMEOUT = -9,
  /**
   * The remote refuses us: credentials, permissions, missing configuration.
   */
  RCLONEPOOL_STATUS_AUTH = -10,
  /**
   * The remote, the pool or the local disk is full, or over quota.
   */
  RCLONEPOOL_STATUS_FULL = -11,
  /**
   * Stored bytes are not what was stored.
   */
  RCLONEPOOL_STATUS_CORRUPT = -12,
  /**
   * Too many shards are gone: the content cannot be rebuilt.
   */
  RCLONEPOOL_STATUS_UNRECOVERABLE = -13,
  /**
   * The source changed while it was read.
   */
  RCLONEPOOL_STATUS_SOURCE_CHANGED = -14,
  /**
   * Another process holds what is needed.
   */
  RCLONEPOOL_STATUS_BUSY = -15,
  /**
   * The pool was written by a later version.
   */
  RCLONEPOOL_STATUS_FORMAT_VERSION = -16,
  /**
   * Several files were asked for and some of them failed.
   */
  RCLONEPOOL_STATUS_PARTIAL = -17,
  /**
   * The caller cancelled.
   */
  RCLONEPOOL_STATUS_CANCELLED = -18,
  /**
   * A local file or system call failed.
   */
  RCLONEPOOL_STATUS_IO = -19,
  /**
   * A bug in rclonepool.
   */
  RCLONEPOOL_STATUS_INTERNAL = -20,
  /**
   * Something is damaged, missing or badly placed, and all of it can still be read.
   */
  RCLONEPOOL_STATUS_DEGRADED = -21,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum rclonepool_status rclonepool_status;
#else
typedef int32_t rclonepool_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What an event is about. Later versions may add some: ignore what you do not know.
 */
enum rclonepool_event_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * How far the operation is.
   */
  RCLONEPOOL_EVENT_KIND_PROGRESS = 1,
  /**
   * A file is done: `path`, `size`, and as `text` "uploaded", "unchanged", "downloaded" or "skipped".
   */
  RCLONEPOOL_EVENT_KIND_FILE = 2,
  /**
   * A file failed, and the operation goes on: `path`, and as `text` why.
   */
  RCLONEPOOL_EVENT_KIND_FILE_FAILED = 3,
  /**
   * Something the user should know: `text`.
   */
  RCLONEPOOL_EVENT_KIND_NOTICE = 4,
  /**
   * The pool's health, when it is first known and whenever it has changed: `text` is the worst state of any
   * file.
   */
  RCLONEPOOL_EVENT_KIND_HEALTH = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum rclonepool_event_kind rclonepool_event_kind;
#else
typedef int32_t rclonepool_event_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What an entry is. Later versions may add some.
 */
enum rclonepool_entry_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Nothing: the handle was NULL.
   */
  RCLONEPOOL_ENTRY_KIND_NONE = 0,
  /**
   * A file.
   */
  RCLONEPOOL_ENTRY_KIND_FILE = 1,
  /**
   * A directory.
   */
  RCLONEPOOL_ENTRY_KIND_DIRECTORY = 2,
  /**
   * A symbolic link.
   */
  RCLONEPOOL_ENTRY_KIND_LINK = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum rclonepool_entry_kind rclonepool_entry_kind;
#else
typedef int32_t rclonepool_entry_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How important a message is.
 */
enum rclonepool_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Nothing at all.
   */
  RCLONEPOOL_LOG_LEVEL_OFF = 0,
  /**
   * Something failed.
   */
  RCLONEPOOL_LOG_LEVEL_ERROR = 1,
  /**
   * Something is not as it should be.
   */
  RCLONEPOOL_LOG_LEVEL_WARN = 2,
  /**
   * What happens.
   */
  RCLONEPOOL_LOG_LEVEL_INFO = 3,
  /**
   * What happens, in detail.
   */
  RCLONEPOOL_LOG_LEVEL_DEBUG = 4,
  /**
   * Everything.
   */
  RCLONEPOOL_LOG_LEVEL_TRACE = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum rclonepool_log_level rclonepool_log_level;
#else
typedef int32_t rclonepool_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What can be set. Whole numbers and flags (0 or 1) by `rclonepool_options_set_integer`, texts by
 * `rclonepool_options_set_text`. An operation refuses what it has no use for. Later versions may add some.
 */
enum rclonepool_option
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Opening: threads of the pool; 2 if not set. A whole number from 1 to 256.
   */
  RCLONEPOOL_OPTION_WORKERS = 1,
  /**
   * Opening: rclone gets the environment of this process, without `RCLONE_*` but with `RCLONE_CONFIG*`, and `~`
   * in the configuration is $HOME. A flag; without it nothing is read from the environment.
   */
  RCLONEPOOL_OPTION_INHERIT_ENV = 2,
  /**
   * Opening: one variable for rclone, "NAME=value". A text; each one set is added.
   */
  RCLONEPOOL_OPTION_ENV = 3,
  /**
   * Opening: the directory that `~` stands for at the beginning of paths in the configuration. A text.
   */
  RCLONEPOOL_OPTION_HOME = 4,
  /**
   * Uploading: even what is there already. Downloading: even what is there with the same size and time. Draining:
   * even where files survive fewer losses afterwards. A flag.
   */
  RCLONEPOOL_OPTION_FORCE = 5,
  /**
   * Uploading: compare content by hashes even where size and modification time agree. A flag.
   */
  RCLONEPOOL_OPTION_CHECKSUM = 6,
  /**
   * Uploading: the modification time to record, in nanoseconds since 1970. A whole number.
   */
  RCLONEPOOL_OPTION_MTIME_NS = 7,
  /**
   * Uploading: the MIME type to record. A text.
   */
  RCLONEPOOL_OPTION_CONTENT_TYPE = 8,
  /**
   * Directories up and down: a glob pattern of files that are meant. A text; each one set is added.
   */
  RCLONEPOOL_OPTION_INCLUDE = 9,
  /**
   * Directories up and down: a glob pattern of what is left out. A text; each one set is added.
   */
  RCLONEPOOL_OPTION_EXCLUDE = 10,
  /**
   * Uploading directories: what to do with symbolic links, one of `rclonepool_links`.
   */
  RCLONEPOOL_OPTION_LINKS = 11,
  /**
   * Uploading, downloading, repairing: say what would be done, and do nothing. A flag.
   */
  RCLONEPOOL_OPTION_DRY_RUN = 12,
  /**
   * Listing, deleting: everything below, at any depth. A flag.
   */
  RCLONEPOOL_OPTION_RECURSIVE = 13,
  /**
   * Deleting: past the trash. A flag.
   */
  RCLONEPOOL_OPTION_PURGE = 14,
  /**
   * Renaming, copying: a file may replace a file. A flag.
   */
  RCLONEPOOL_OPTION_OVERWRITE = 15,
  /**
   * Verifying, health, rebuilding, the trash: only this path and what lies below it. A text.
   */
  RCLONEPOOL_OPTION_PATH = 16,
  /**
   * Verifying: how closely, one of `rclonepool_level`.
   */
  RCLONEPOOL_OPTION_LEVEL = 17,
  /**
   * Verifying deeply: read only so many thousandths of a percent of the chunks, those that were not read for
   * longest; 100000 is all. A whole number.
   */
  RCLONEPOOL_OPTION_SAMPLE = 18,
  /**
   * Verifying, health: how many files to name at most; 100 if not set. A whole number.
   */
  RCLONEPOOL_OPTION_LIST = 19,
  /**
   * Health: a remote to take for lost, by name. A text; each one set is added.
   */
  RCLONEPOOL_OPTION_LOST = 20,
  /**
   * Rebuilding: hold every shard against a listing, instead of going by what was found before. A flag.
   */
  RCLONEPOOL_OPTION_ALL = 21,
  /**
   * Rebuilding, orphans, freeing: go on where a remote looks as if it had lost its data. A flag.
   */
  RCLONEPOOL_OPTION_ACCEPT_LOSS = 22,
  /**
   * Orphans, freeing: how long an object without a record is left alone; emptying the trash: only what lies there
   * for so long. Milliseconds, a whole number.
   */
  RCLONEPOOL_OPTION_MIN_AGE_MS = 23,
  /**
   * Draining: no other machine writes to the pool, so nothing need wait for one. A flag.
   */
  RCLONEPOOL_OPTION_ALONE = 24,
  /**
   * Restoring: this version, as the trash's listing names it. A text.
   */
  RCLONEPOOL_OPTION_VERSION = 25,
  /**
   * Restoring: to this path instead of its own. A text.
   */
  RCLONEPOOL_OPTION_TO = 26,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum rclonepool_option rclonepool_option;
#else
typedef int32_t rclonepool_option;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What to do with symbolic links below a directory: values of `RCLONEPOOL_OPTION_LINKS`.
 */
enum rclonepool_links
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Leave them out, and count them.
   */
  RCLONEPOOL_LINKS_SKIP = 0,
  /**
   * Store them as links.
   */
  RCLONEPOOL_LINKS_STORE = 1,
  /**
   * Store what they lead to.
   */
  RCLONEPOOL_LINKS_FOLLOW = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum rclonepool_links rclonepool_links;
#else
typedef int32_t rclonepool_links;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How closely to verify: values of `RCLONEPOOL_OPTION_LEVEL`.
 */
enum rclonepool_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * That everything exists, by one listing per remote.
   */
  RCLONEPOOL_LEVEL_QUICK = 0,
  /**
   * Sizes, too, from the same listing.
   */
  RCLONEPOOL_LEVEL_DEFAULT = 1,
  /**
   * Every byte of every shard is read and held against its checksums.
   */
  RCLONEPOOL_LEVEL_DEEP = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum rclonepool_level rclonepool_level;
#else
typedef int32_t rclonepool_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * From where `rclonepool_reader_seek` counts.
 */
enum rclonepool_whence
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * From the beginning, as SEEK_SET.
   */
  RCLONEPOOL_WHENCE_SET = 0,
  /**
   * From where it is, as SEEK_CUR.
   */
  RCLONEPOOL_WHENCE_CURRENT = 1,
  /**
   * From the end, as SEEK_END.
   */
  RCLONEPOOL_WHENCE_END = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum rclonepool_whence rclonepool_whence;
#else
typedef int32_t rclonepool_whence;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Bytes that the library holds for you. Freed by `rclonepool_buffer_free`.
 */
typedef struct rclonepool_buffer rclonepool_buffer;

/**
 * What lies at a path: a copy, which later changes of the pool do not touch. Freed by `rclonepool_entry_free`,
 * unless it is lent by a list.
 */
typedef struct rclonepool_entry rclonepool_entry;

/**
 * Why a call failed. Owned by the caller; freed by `rclonepool_error_free`.
 */
typedef struct rclonepool_error rclonepool_error;

/**
 * A listing, read bit by bit. Freed by `rclonepool_list_free`; it must not be used by two threads at once.
 */
typedef struct rclonepool_list rclonepool_list;

/**
 * An operation under way, on the pool's threads. Functions that take it may be called from several threads at once.
 * Freed by `rclonepool_op_free`.
 */
typedef struct rclonepool_op rclonepool_op;

/**
 * What an operation is told beside its arguments; NULL is the same as one without any set. Operations copy what
 * they need, so one may be used for several, changed in between, and freed at any time.
 */
typedef struct rclonepool_options rclonepool_options;

/**
 * What would be done. It may be performed more than once: what is done already is found done. Freed by
 * `rclonepool_plan_free`.
 */
typedef struct rclonepool_plan rclonepool_plan;

/**
 * An open pool, with threads of its own. All functions that take it may be called from several threads at once.
 * Freed by `rclonepool_pool_free`, which closes it.
 *
 * After fork(), a child cannot use what its parent opened: calls fail with `RCLONEPOOL_STATUS_UNSUPPORTED`, freeing
 * does nothing but give up the handle, and the child may open pools of its own. When the last pool is closed no
 * thread of the library is left, so it may be unloaded then.
 */
typedef struct rclonepool_pool rclonepool_pool;

/**
 * A file that is being read, as it was when it was opened, as long as the trash keeps it. Several threads may call `rclonepool_reader_pread` at
 * once; `_read` and `_seek` move its position and are for one thread at a time. Freed by `rclonepool_reader_free`.
 */
typedef struct rclonepool_reader rclonepool_reader;

/**
 * What an operation found or did. Its values are read by their places in its JSON text, written as JSON pointers
 * (RFC 6901): "/files", "/remotes/0/name". Freed by `rclonepool_report_free`.
 */
typedef struct rclonepool_report rclonepool_report;

/**
 * A file that is being written. Nothing of it is to be seen in the pool before `rclonepool_writer_commit`. Freed by
 * `rclonepool_writer_free`; it must not be used by two threads at once.
 */
typedef struct rclonepool_writer rclonepool_writer;

/**
 * An event. It and its texts live until the callback returns. Made by the library only; later versions may add
 * members at the end, and `struct_size` tells how many bytes there are.
 */
typedef struct rclonepool_event {
  /**
   * Bytes of this struct.
   */
  uint32_t struct_size;
  /**
   * What it is about.
   */
  rclonepool_event_kind kind;
  /**
   * Bytes done so far.
   */
  uint64_t bytes_done;
  /**
   * Bytes that are known to be ahead in all; may grow, and is 0 where it is not known.
   */
  uint64_t bytes_total;
  /**
   * Items done so far: chunks of one file, or files of a directory.
   */
  uint64_t items_done;
  /**
   * Items in all, as far as is known.
   */
  uint64_t items_total;
  /**
   * The size of the file, in bytes; 0 where the event is about no file.
   */
  uint64_t size;
  /**
   * The path in the pool, or the local path; NULL where the event is about no file.
   */
  const char *path;
  /**
   * In words; NULL for mere progress.
   */
  const char *text;
  /**
   * All of it as JSON, as the command prints it with --json; NULL for mere progress.
   */
  const char *json;
} rclonepool_event;

/**
 * Takes events. Runs only within a call of yours that was given it, on the thread that made this call, with no
 * lock held: it may call the library, but neither close nor free the pool. What is not 0 cancels the operation. It
 * must return: no exception or longjmp may leave it.
 */
typedef int32_t (*rclonepool_event_fn)(void *userdata, const struct rclonepool_event *event);

/**
 * Takes a message: where in the library it comes from, and the text; both live until it returns. Called from any
 * thread, the library's own included, and from several at once, with no lock held. It must return soon, and cannot
 * call functions that wait for the pool: on the library's own threads they fail with `RCLONEPOOL_STATUS_BUSY`.
 */
typedef void (*rclonepool_log_fn)(void *userdata,
                                  rclonepool_log_level level,
                                  const char *target,
                                  const char *message);

/**
 * Lets userdata go: called once, when nothing uses it any more.
 */
typedef void (*rclonepool_destroy_fn)(void *userdata);

/**
 * How far an operation is. Members may be added at the end: set `struct_size` to the size of the struct you know,
 * and no more is written.
 */
typedef struct rclonepool_progress {
  /**
   * Bytes of this struct, set by you.
   */
  uint32_t struct_size;
  /**
   * 1 when the operation has ended, else 0.
   */
  int32_t is_done;
  /**
   * Bytes done so far.
   */
  uint64_t bytes_done;
  /**
   * Bytes that are known to be ahead in all; may grow, and is 0 where it is not known.
   */
  uint64_t bytes_total;
  /**
   * Items done so far: chunks of one file, or files of a directory.
   */
  uint64_t items_done;
  /**
   * Items in all, as far as is known.
   */
  uint64_t items_total;
} rclonepool_progress;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The pool at a glance: files, bytes, remotes, free space; asks each online remote for its usage. The report has
 * "pool", "files", "bytes", "stored", "tolerated", "complete_view", "remotes", "free" and more. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `callback` may be called with `userdata`;
 * `report` is NULL or points to where a pointer may be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_pool_status(const struct rclonepool_pool *pool,
                                         rclonepool_event_fn callback,
                                         void *userdata,
                                         struct rclonepool_report **report,
                                         struct rclonepool_error **err);

/**
 * Begins what `rclonepool_pool_status` does; the arguments are copied. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `op` can be written; `err` is NULL or points to
 * where a pointer may be written.
 */
rclonepool_status rclonepool_pool_status_start(const struct rclonepool_pool *pool,
                                               struct rclonepool_op **op,
                                               struct rclonepool_error **err);

/**
 * Verifies that the remotes hold what the journal says, and notes what they do not; changes nothing. Options: `PATH`,
 * `LEVEL`, `SAMPLE`, `LIST`. The report has "state", "files", "shards", "remotes", "listed" and more, and its status
 * says what it amounts to: damage is no failure of the call. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `callback` may be called with `userdata`;
 * `report` is NULL or points to where a pointer may be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_verify(const struct rclonepool_pool *pool,
                                    const struct rclonepool_options *options,
                                    rclonepool_event_fn callback,
                                    void *userdata,
                                    struct rclonepool_report **report,
                                    struct rclonepool_error **err);

/**
 * Begins what `rclonepool_verify` does; the arguments are copied. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `op` can be written; `err` is NULL or points to
 * where a pointer may be written.
 */
rclonepool_status rclonepool_verify_start(const struct rclonepool_pool *pool,
                                          const struct rclonepool_options *options,
                                          struct rclonepool_op **op,
                                          struct rclonepool_error **err);

/**
 * What every file survives, from the index and what verifications found; asks no remote. Options: `PATH`, `LIST`,
 * `LOST`. The report has "state", "recoverable", "files", "tolerated_remotes", "remotes", "listed" and more.
 * Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `callback` may be called with `userdata`;
 * `report` is NULL or points to where a pointer may be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_health(const struct rclonepool_pool *pool,
                                    const struct rclonepool_options *options,
                                    rclonepool_event_fn callback,
                                    void *userdata,
                                    struct rclonepool_report **report,
                                    struct rclonepool_error **err);

/**
 * Begins what `rclonepool_health` does; the arguments are copied. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `op` can be written; `err` is NULL or points to
 * where a pointer may be written.
 */
rclonepool_status rclonepool_health_start(const struct rclonepool_pool *pool,
                                          const struct rclonepool_options *options,
                                          struct rclonepool_op **op,
                                          struct rclonepool_error **err);

/**
 * Lists what nobody needs, and how far it is on its way out; changes nothing on the remotes. Options: `MIN_AGE_MS`,
 * `ACCEPT_LOSS`. The report has "orphans", "leftovers", "remotes", "unknown". Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `callback` may be called with `userdata`;
 * `report` is NULL or points to where a pointer may be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_orphans(const struct rclonepool_pool *pool,
                                     const struct rclonepool_options *options,
                                     rclonepool_event_fn callback,
                                     void *userdata,
                                     struct rclonepool_report **report,
                                     struct rclonepool_error **err);

/**
 * Begins what `rclonepool_orphans` does; the arguments are copied. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `op` can be written; `err` is NULL or points to
 * where a pointer may be written.
 */
rclonepool_status rclonepool_orphans_start(const struct rclonepool_pool *pool,
                                           const struct rclonepool_options *options,
                                           struct rclonepool_op **op,
                                           struct rclonepool_error **err);

/**
 * Frees what nobody needs: marks it, and deletes what was marked a day ago. Options: `MIN_AGE_MS`, `ACCEPT_LOSS`. The
 * report has "marked", "dropped", "objects", "reclaimed", "waiting", "next_ms" and more. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `callback` may be called with `userdata`;
 * `report` is NULL or points to where a pointer may be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_gc(const struct rclonepool_pool *pool,
                                const struct rclonepool_options *options,
                                rclonepool_event_fn callback,
                                void *userdata,
                                struct rclonepool_report **report,
                                struct rclonepool_error **err);

/**
 * Begins what `rclonepool_gc` does; the arguments are copied. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `op` can be written; `err` is NULL or points to
 * where a pointer may be written.
 */
rclonepool_status rclonepool_gc_start(const struct rclonepool_pool *pool,
                                      const struct rclonepool_options *options,
                                      struct rclonepool_op **op,
                                      struct rclonepool_error **err);

/**
 * Watches over a pool until the operation is cancelled, and tells by events: its health, when first known and
 * whenever it changes, as often as the configuration says (`health_check_interval`). Where the configuration says so
 * too, what is found damaged is rebuilt (`auto_heal`) and the remotes are kept filled alike (`auto_rebalance`). Ends
 * with `_CANCELLED`, or with `_CONFIG` where health is not to be watched. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `op` can be written; `err` is NULL or points to where a pointer may be
 * written.
 */
rclonepool_status rclonepool_watch_start(const struct rclonepool_pool *pool,
                                         struct rclonepool_op **op,
                                         struct rclonepool_error **err);

/**
 * Stores `size` bytes as the file `path`; they are copied. What was there goes to the trash. Options: `FORCE`,
 * `MTIME_NS`, `CONTENT_TYPE`. The report (which may be NULL) is that of `rclonepool_upload`. Fails with
 * `_ALREADY_EXISTS` where the path is a directory, `_FULL`, `_UNAVAILABLE`. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `path` is a NUL-terminated string; `data` points to `size` bytes, or is
 * NULL and `size` is 0; `options` is NULL or a handle that no other thread changes; `report` and `err` are NULL or
 * point to where a pointer may be written.
 */
rclonepool_status rclonepool_put(const struct rclonepool_pool *pool,
                                 const char *path,
                                 const void *data,
                                 size_t size,
                                 const struct rclonepool_options *options,
                                 struct rclonepool_report **report,
                                 struct rclonepool_error **err);

/**
 * Reads the whole file `path` into memory: for small files; large ones are for `rclonepool_reader_open`. Fails with
 * `_NOT_FOUND`, `_INVALID_ARGUMENT` for what is no file, `_UNAVAILABLE`, `_UNRECOVERABLE`. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `path` is a NUL-terminated string; `buffer` can be written; `err` is NULL
 * or points to where a pointer may be written.
 */
rclonepool_status rclonepool_get(const struct rclonepool_pool *pool,
                                 const char *path,
                                 struct rclonepool_buffer **buffer,
                                 struct rclonepool_error **err);

/**
 * The bytes of a buffer, which live until it is freed; never NULL but for NULL. Since 0.1.
 *
 * @pre `buffer` is NULL or a handle that was not freed.
 */
const void *rclonepool_buffer_data(const struct rclonepool_buffer *buffer);

/**
 * How many bytes a buffer has; 0 for NULL. Since 0.1.
 *
 * @pre `buffer` is NULL or a handle that was not freed.
 */
size_t rclonepool_buffer_size(const struct rclonepool_buffer *buffer);

/**
 * Frees a buffer; NULL is allowed. Since 0.1.
 *
 * @pre `buffer` is NULL or a handle that was not freed; it is not used again.
 */
void rclonepool_buffer_free(struct rclonepool_buffer *buffer);

/**
 * What lies at `path`, from what is known here: the remotes are not asked, so what other machines did since the
 * last call that wrote, or `rclonepool_pool_refresh`, is not seen. Fails with `_NOT_FOUND`. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `path` is a NUL-terminated string; `entry` can be written; `err` is NULL or
 * points to where a pointer may be written.
 */
rclonepool_status rclonepool_stat(const struct rclonepool_pool *pool,
                                  const char *path,
                                  struct rclonepool_entry **entry,
                                  struct rclonepool_error **err);

/**
 * Begins to list what lies in a directory, sorted by name; with `RECURSIVE`, every file, link and directory that
 * was made below it at any depth, sorted by path. As `rclonepool_stat` it answers from what is known here. Fails
 * with `_DIRECTORY_NOT_FOUND`, and with `_INVALID_ARGUMENT` for a file. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `directory` is a NUL-terminated string; `options` is NULL or a handle that
 * no other thread changes; `list` can be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_list_open(const struct rclonepool_pool *pool,
                                       const char *directory,
                                       const struct rclonepool_options *options,
                                       struct rclonepool_list **list,
                                       struct rclonepool_error **err);

/**
 * Lends the next entry of a list to `entry`, until the next call with the list: never free it. Returns
 * `RCLONEPOOL_STATUS_END` (1) after the last, and writes NULL then. Since 0.1.
 *
 * @pre `list` is a handle that was not freed and that no other thread uses; `entry` can be written; `err` is NULL or
 * points to where a pointer may be written.
 */
rclonepool_status rclonepool_list_next(struct rclonepool_list *list,
                                       const struct rclonepool_entry **entry,
                                       struct rclonepool_error **err);

/**
 * Frees a list, and with it the entry it lent; NULL is allowed. Since 0.1.
 *
 * @pre `list` is NULL or a handle that was not freed; it is not used again.
 */
void rclonepool_list_free(struct rclonepool_list *list);

/**
 * The path of an entry; "" for NULL. The text lives as long as the entry. Since 0.1.
 *
 * @pre `entry` is NULL or a handle that was not freed.
 */
const char *rclonepool_entry_path(const struct rclonepool_entry *entry);

/**
 * The last part of its path: its name in its directory; "" for the root and for NULL. The text lives as long as the
 * entry. Since 0.1.
 *
 * @pre `entry` is NULL or a handle that was not freed.
 */
const char *rclonepool_entry_name(const struct rclonepool_entry *entry);

/**
 * Whether it is a file, a directory or a link. Since 0.1.
 *
 * @pre `entry` is NULL or a handle that was not freed.
 */
rclonepool_entry_kind rclonepool_entry_get_kind(const struct rclonepool_entry *entry);

/**
 * Its length in bytes; 0 for what is no file, and for NULL. Since 0.1.
 *
 * @pre `entry` is NULL or a handle that was not freed.
 */
uint64_t rclonepool_entry_size(const struct rclonepool_entry *entry);

/**
 * Its modification time in nanoseconds since 1970; 0 for a directory that exists only because something lies in it,
 * and for NULL. Since 0.1.
 *
 * @pre `entry` is NULL or a handle that was not freed.
 */
int64_t rclonepool_entry_mtime_ns(const struct rclonepool_entry *entry);

/**
 * 1 when the file is executable, else 0; 0 for NULL. Since 0.1.
 *
 * @pre `entry` is NULL or a handle that was not freed.
 */
int32_t rclonepool_entry_executable(const struct rclonepool_entry *entry);

/**
 * Its MIME type; NULL where none was recorded. The text lives as long as the entry. Since 0.1.
 *
 * @pre `entry` is NULL or a handle that was not freed.
 */
const char *rclonepool_entry_content_type(const struct rclonepool_entry *entry);

/**
 * Where a link leads; NULL for all else. The text lives as long as the entry. Since 0.1.
 *
 * @pre `entry` is NULL or a handle that was not freed.
 */
const char *rclonepool_entry_link_target(const struct rclonepool_entry *entry);

/**
 * Frees an entry; NULL is allowed. Since 0.1.
 *
 * @pre `entry` is NULL or a handle that was not freed and is not lent by a list; it is not used again.
 */
void rclonepool_entry_free(struct rclonepool_entry *entry);

/**
 * The code of the failure; `RCLONEPOOL_STATUS_OK` for NULL. Since 0.1.
 *
 * @pre `error` is NULL or an error that was not freed.
 */
rclonepool_status rclonepool_error_status(const struct rclonepool_error *error);

/**
 * What failed, where, why and what to do about it, on one line; "" for NULL. The text lives
 * until the error is freed. Since 0.1.
 *
 * @pre `error` is NULL or an error that was not freed.
 */
const char *rclonepool_error_message(const struct rclonepool_error *error);

/**
 * 1 when the same call may succeed a little later, else 0; 0 for NULL. Since 0.1.
 *
 * @pre `error` is NULL or an error that was not freed.
 */
int32_t rclonepool_error_retryable(const struct rclonepool_error *error);

/**
 * The remote it happened on, as the configuration names it; NULL where there is none. The text lives until the error is
 * freed. Since 0.1.
 *
 * @pre `error` is NULL or an error that was not freed.
 */
const char *rclonepool_error_remote(const struct rclonepool_error *error);

/**
 * The path in the pool, the local path or the object it happened to; NULL where there is none. The text lives until the error is
 * freed. Since 0.1.
 *
 * @pre `error` is NULL or an error that was not freed.
 */
const char *rclonepool_error_path(const struct rclonepool_error *error);

/**
 * What to do about it; NULL where there is none. The text lives until the error is
 * freed. Since 0.1.
 *
 * @pre `error` is NULL or an error that was not freed.
 */
const char *rclonepool_error_hint(const struct rclonepool_error *error);

/**
 * Frees an error; NULL is allowed. Since 0.1.
 *
 * @pre `error` is NULL or an error that was not freed; it is not used again.
 */
void rclonepool_error_free(struct rclonepool_error *error);

/**
 * Hands the library's messages up to `level`, one of `rclonepool_log_level`, to `callback` from now on, in place of
 * any that was set before; NULL for none. Holds for the process. `destroy` (which may be NULL) is called with
 * `userdata` when the callback was replaced and its last call is over, also where this call fails. Before the library
 * is unloaded, set NULL. Fails with `_BUSY` where a Rust program takes the messages already. Since 0.1.
 *
 * @pre `callback` and `destroy` may be called with `userdata` from any thread, until `destroy` was; `err` is NULL or points
 * to where a pointer may be written.
 */
rclonepool_status rclonepool_log_set(rclonepool_log_fn callback,
                                     int32_t level,
                                     void *userdata,
                                     rclonepool_destroy_fn destroy,
                                     struct rclonepool_error **err);

/**
 * Where the shards of a file lie: its manifest as "entry", and "chunks" with their "shards". Fails with
 * `_NOT_FOUND`. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `path` is a NUL-terminated string; `report` can be written; `err` is NULL
 * or points to where a pointer may be written.
 */
rclonepool_status rclonepool_layout(const struct rclonepool_pool *pool,
                                    const char *path,
                                    struct rclonepool_report **report,
                                    struct rclonepool_error **err);

/**
 * Makes a directory; one that is there already is left as it is. Directories above it need not be made. Fails with
 * `_ALREADY_EXISTS` where the path, or one above it, is a file. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `path` is a NUL-terminated string; `err` is NULL or points to where a
 * pointer may be written.
 */
rclonepool_status rclonepool_mkdir(const struct rclonepool_pool *pool,
                                   const char *path,
                                   struct rclonepool_error **err);

/**
 * Deletes a file, or with `RECURSIVE` a directory and all below it, into the trash, or with `PURGE` for good. The
 * report (which may be NULL) has "entries" and "stale". Fails with `_NOT_FOUND`, and with `_INVALID_ARGUMENT` for a
 * directory that is not empty without `RECURSIVE`. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `path` is a NUL-terminated string; `options` is NULL or a handle that no
 * other thread changes; `report` and `err` are NULL or point to where a pointer may be written.
 */
rclonepool_status rclonepool_delete(const struct rclonepool_pool *pool,
                                    const char *path,
                                    const struct rclonepool_options *options,
                                    struct rclonepool_report **report,
                                    struct rclonepool_error **err);

/**
 * Moves a file or a whole directory as one operation; no data moves. The report (which may be NULL) has "entries"
 * and "stale". Fails with `_NOT_FOUND`, and with `_ALREADY_EXISTS` where something is at `to`, unless both are files
 * and `OVERWRITE` is set. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `from` and `to` are NUL-terminated strings; `options` is NULL or a handle
 * that no other thread changes; `report` and `err` are NULL or point to where a pointer may be written.
 */
rclonepool_status rclonepool_rename(const struct rclonepool_pool *pool,
                                    const char *from,
                                    const char *to,
                                    const struct rclonepool_options *options,
                                    struct rclonepool_report **report,
                                    struct rclonepool_error **err);

/**
 * Copies a file or a whole directory as one operation; no data moves, as the copies share it. The report (which may
 * be NULL) has "entries" and "stale". Fails as `rclonepool_rename`. Since 0.1.
 *
 * @pre As for `rclonepool_rename`.
 */
rclonepool_status rclonepool_copy(const struct rclonepool_pool *pool,
                                  const char *from,
                                  const char *to,
                                  const struct rclonepool_options *options,
                                  struct rclonepool_report **report,
                                  struct rclonepool_error **err);

/**
 * What lies in the trash, by path, the newest version first: a report that is a list of objects with "path",
 * "version", "size", "by", "left_ms" and more. Option: `PATH`. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `report` can
 * be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_trash(const struct rclonepool_pool *pool,
                                   const struct rclonepool_options *options,
                                   struct rclonepool_report **report,
                                   struct rclonepool_error **err);

/**
 * Brings back what was deleted or overwritten at `path`: the newest version, or `VERSION`; to its own path, or
 * `TO`. Where nothing of that path is in the trash, what was deleted below it comes back. The report (which may be
 * NULL) has "paths", "bytes" and "stale". Fails with `_NOT_FOUND`, `_BUSY`, `_ALREADY_EXISTS`. Since 0.1.
 *
 * @pre As for `rclonepool_delete`.
 */
rclonepool_status rclonepool_restore(const struct rclonepool_pool *pool,
                                     const char *path,
                                     const struct rclonepool_options *options,
                                     struct rclonepool_report **report,
                                     struct rclonepool_error **err);

/**
 * Empties the trash: what was in it cannot be brought back, and is freed by `rclonepool_gc`. Options: `PATH`,
 * `MIN_AGE_MS`. The report (which may be NULL) has "versions". Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `report` and
 * `err` are NULL or point to where a pointer may be written.
 */
rclonepool_status rclonepool_trash_empty(const struct rclonepool_pool *pool,
                                         const struct rclonepool_options *options,
                                         struct rclonepool_report **report,
                                         struct rclonepool_error **err);

/**
 * 1 when an operation has ended, else 0; 1 for NULL. Calls nobody back and never waits. Since 0.1.
 *
 * @pre `op` is NULL or a handle that was not freed.
 */
int32_t rclonepool_op_is_done(const struct rclonepool_op *op);

/**
 * Writes how far an operation is to `progress`, of which `struct_size` must be set. Never waits. Since 0.1.
 *
 * @pre `op` is a handle that was not freed; `progress` points to as many bytes as its `struct_size` says; `err` is NULL
 * or points to where a pointer may be written.
 */
rclonepool_status rclonepool_op_progress(const struct rclonepool_op *op,
                                         struct rclonepool_progress *progress,
                                         struct rclonepool_error **err);

/**
 * Waits until an operation has ended, `timeout_ms` have passed (0: not at all, below 0: for ever), whichever is
 * first, and writes 1 or 0 to `is_done` (which may be NULL). What it tells meanwhile, and told before, is handed to
 * `callback` (which may be NULL) on this thread; a callback that answers not 0 cancels the operation. A time-out is
 * no failure. Where several threads wait, each event goes to one of them. Since 0.1.
 *
 * @pre `op` is a handle that is not freed meanwhile; `callback` may be called with `userdata`; `is_done` is NULL or can
 * be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_op_wait(const struct rclonepool_op *op,
                                     int64_t timeout_ms,
                                     rclonepool_event_fn callback,
                                     void *userdata,
                                     int32_t *is_done,
                                     struct rclonepool_error **err);

/**
 * Asks an operation to stop, and returns at once; it ends with `RCLONEPOOL_STATUS_CANCELLED`, unless it was done
 * before. NULL is allowed. Since 0.1.
 *
 * @pre `op` is NULL or a handle that was not freed.
 */
void rclonepool_op_cancel(const struct rclonepool_op *op);

/**
 * Takes the outcome of an operation that has ended: its failure, or its report (which may be NULL where it does not
 * matter). Can be done once. Fails with `_BUSY` while the operation runs. Since 0.1.
 *
 * @pre `op` is a handle that was not freed; `report` and `err` are NULL or point to where a pointer may be written.
 */
rclonepool_status rclonepool_op_take(const struct rclonepool_op *op,
                                     struct rclonepool_report **report,
                                     struct rclonepool_error **err);

/**
 * Takes the plan that an operation begun by a `…_plan_start` has made. As `rclonepool_op_take`. Since 0.1.
 *
 * @pre `op` is a handle that was not freed; `plan` can be written; `err` is NULL or points to where a pointer may be
 * written.
 */
rclonepool_status rclonepool_op_take_plan(const struct rclonepool_op *op,
                                          struct rclonepool_plan **plan,
                                          struct rclonepool_error **err);

/**
 * Frees an operation; one that runs is cancelled and not waited for. NULL is allowed. Since 0.1.
 *
 * @pre `op` is NULL or a handle that was not freed; it is not used again, and no other thread uses it now.
 */
void rclonepool_op_free(struct rclonepool_op *op);

/**
 * Options without any set; freed by `rclonepool_options_free`. Since 0.1.
 */
struct rclonepool_options *rclonepool_options_new(void);

/**
 * Sets `option`, one of `rclonepool_option`, to a whole number or flag. Fails with
 * `RCLONEPOOL_STATUS_INVALID_ARGUMENT` where there is no such option, or it cannot be that. Since 0.1.
 *
 * @pre `options` is a handle that was not freed and that no other thread uses; `err` is NULL or points to where a
 * pointer may be written.
 */
rclonepool_status rclonepool_options_set_integer(struct rclonepool_options *options,
                                                 int32_t option,
                                                 int64_t value,
                                                 struct rclonepool_error **err);

/**
 * Sets `option`, one of `rclonepool_option`, to a text, which is copied. Fails with
 * `RCLONEPOOL_STATUS_INVALID_ARGUMENT` where there is no such option, or it is a number. Since 0.1.
 *
 * @pre `options` is a handle that was not freed and that no other thread uses; `value` is NULL or a NUL-terminated
 * string; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_options_set_text(struct rclonepool_options *options,
                                              int32_t option,
                                              const char *value,
                                              struct rclonepool_error **err);

/**
 * Frees options; NULL is allowed. Since 0.1.
 *
 * @pre `options` is NULL or a handle that was not freed; it is not used again.
 */
void rclonepool_options_free(struct rclonepool_options *options);

/**
 * Checks that `path` can name a file or directory of a pool: absolute, components of 1 to 255
 * bytes joined by "/", none of them "." or "..", at most 4,096 bytes in all, outside the reserved
 * "/.rclonepool/". Fails with `RCLONEPOOL_STATUS_INVALID_ARGUMENT`. Since 0.1.
 *
 * @pre `path` is NULL or a NUL-terminated string; `err` is NULL or points to where a pointer may be
 * written.
 */
rclonepool_status rclonepool_path_check(const char *path, struct rclonepool_error **err);

/**
 * What a plan says, as a report that belongs to it: never free it, and do not use it after the plan was freed. NULL
 * for NULL. Since 0.1.
 *
 * @pre `plan` is NULL or a handle that was not freed.
 */
const struct rclonepool_report *rclonepool_plan_report(const struct rclonepool_plan *plan);

/**
 * Does what a plan says. Broken off anywhere, a new plan goes on with the rest. The report's status is `_PARTIAL`
 * where single chunks or shards failed, `_UNRECOVERABLE` where too little is left of some; the call succeeds then
 * all the same. Since 0.1.
 *
 * @pre `pool` and `plan` are handles that were not freed; `callback` may be called with `userdata`; `report` is NULL or
 * points to where a pointer may be written; so is `err`.
 */
rclonepool_status rclonepool_plan_perform(const struct rclonepool_pool *pool,
                                          const struct rclonepool_plan *plan,
                                          rclonepool_event_fn callback,
                                          void *userdata,
                                          struct rclonepool_report **report,
                                          struct rclonepool_error **err);

/**
 * Begins what `rclonepool_plan_perform` does. The plan may be freed at once. Since 0.1.
 *
 * @pre `pool` and `plan` are handles that were not freed; `op` can be written; `err` is NULL or points to where a
 * pointer may be written.
 */
rclonepool_status rclonepool_plan_perform_start(const struct rclonepool_pool *pool,
                                                const struct rclonepool_plan *plan,
                                                struct rclonepool_op **op,
                                                struct rclonepool_error **err);

/**
 * Frees a plan and its report; NULL is allowed. Since 0.1.
 *
 * @pre `plan` is NULL or a handle that was not freed; it is not used again.
 */
void rclonepool_plan_free(struct rclonepool_plan *plan);

/**
 * Finds missing and damaged shards: those that reads and verifications met, or with `ALL` or `PATH` all that one
 * listing per remote shows. Changes nothing. Options: `PATH`, `ALL`, `ACCEPT_LOSS`. The plan has "chunks",
 * "write_bytes", "read_bytes", "remotes", "suspect", "unknown"; performed, it puts them anew from the others.
 * Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `callback` may be called with `userdata`;
 * `plan` can be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_rebuild_plan(const struct rclonepool_pool *pool,
                                          const struct rclonepool_options *options,
                                          rclonepool_event_fn callback,
                                          void *userdata,
                                          struct rclonepool_plan **plan,
                                          struct rclonepool_error **err);

/**
 * Begins what `rclonepool_rebuild_plan` does; the arguments are copied. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `op` can be written; `err` is NULL or points to
 * where a pointer may be written.
 */
rclonepool_status rclonepool_rebuild_plan_start(const struct rclonepool_pool *pool,
                                                const struct rclonepool_options *options,
                                                struct rclonepool_op **op,
                                                struct rclonepool_error **err);

/**
 * Finds the moves after which the fills of the remotes differ by at most `target` percentage points. Changes nothing.
 * The plan has "variance", "variance_after", "reached", "shards", "bytes", "flows" and more. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `callback` may be called with `userdata`;
 * `plan` can be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_rebalance_plan(const struct rclonepool_pool *pool,
                                            double target,
                                            rclonepool_event_fn callback,
                                            void *userdata,
                                            struct rclonepool_plan **plan,
                                            struct rclonepool_error **err);

/**
 * Begins what `rclonepool_rebalance_plan` does; the arguments are copied. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `op` can be written; `err` is NULL or points to
 * where a pointer may be written.
 */
rclonepool_status rclonepool_rebalance_plan_start(const struct rclonepool_pool *pool,
                                                  double target,
                                                  struct rclonepool_op **op,
                                                  struct rclonepool_error **err);

/**
 * Finds what it takes to empty a remote, after which it leaves the pool. Changes nothing. Options, for when it is
 * performed: `ALONE`, `FORCE`. The plan has "shards", "bytes", "flows", "stuck", "sinking" and more. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `remote` is a NUL-terminated string; `options` is NULL or a handle that
 * no other thread changes; `callback` may be called with `userdata`;
 * `plan` can be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_drain_plan(const struct rclonepool_pool *pool,
                                        const char *remote,
                                        const struct rclonepool_options *options,
                                        rclonepool_event_fn callback,
                                        void *userdata,
                                        struct rclonepool_plan **plan,
                                        struct rclonepool_error **err);

/**
 * Begins what `rclonepool_drain_plan` does; the arguments are copied. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `remote` is a NUL-terminated string; `options` is NULL or a handle that
 * no other thread changes; `op` can be written; `err` is NULL or points to
 * where a pointer may be written.
 */
rclonepool_status rclonepool_drain_plan_start(const struct rclonepool_pool *pool,
                                              const char *remote,
                                              const struct rclonepool_options *options,
                                              struct rclonepool_op **op,
                                              struct rclonepool_error **err);

/**
 * Finds the chunks at and below `path` that are not of a redundancy, such as "replication:3" or "parity:4+2"; performed,
 * it codes them anew. The plan has "files", "chunks", "bytes", "write_bytes". Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `path` and `redundancy` are NUL-terminated strings; `callback` may be called with `userdata`;
 * `plan` can be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_convert_plan(const struct rclonepool_pool *pool,
                                          const char *path,
                                          const char *redundancy,
                                          rclonepool_event_fn callback,
                                          void *userdata,
                                          struct rclonepool_plan **plan,
                                          struct rclonepool_error **err);

/**
 * Begins what `rclonepool_convert_plan` does; the arguments are copied. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `path` and `redundancy` are NUL-terminated strings; `op` can be written; `err` is NULL or points to
 * where a pointer may be written.
 */
rclonepool_status rclonepool_convert_plan_start(const struct rclonepool_pool *pool,
                                                const char *path,
                                                const char *redundancy,
                                                struct rclonepool_op **op,
                                                struct rclonepool_error **err);

/**
 * What it means to give remotes up for lost, by their names; performed, they leave the pool for ever. What they held is
 * rebuilt by a plan of its own. The plan has "shards", "bytes", "unreadable", "left" and more. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `remotes` points to `count` NUL-terminated strings; `callback` may be called with `userdata`;
 * `plan` can be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_loss_plan(const struct rclonepool_pool *pool,
                                       const char *const *remotes,
                                       size_t count,
                                       rclonepool_event_fn callback,
                                       void *userdata,
                                       struct rclonepool_plan **plan,
                                       struct rclonepool_error **err);

/**
 * Begins what `rclonepool_loss_plan` does; the arguments are copied. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `remotes` points to `count` NUL-terminated strings; `op` can be written; `err` is NULL or points to
 * where a pointer may be written.
 */
rclonepool_status rclonepool_loss_plan_start(const struct rclonepool_pool *pool,
                                             const char *const *remotes,
                                             size_t count,
                                             struct rclonepool_op **op,
                                             struct rclonepool_error **err);

/**
 * Opens the pool that a configuration file describes: connects to its remotes and lists each once, which may take
 * seconds. `options` (`WORKERS`, `INHERIT_ENV`, `ENV`, `HOME`) may be NULL. rclone finds its own configuration by
 * the environment it is given, so `INHERIT_ENV` is what most programs want. Fails with `_CONFIG`, `_UNSUPPORTED`,
 * and `_UNAVAILABLE` when no remote carries the pool's marker. Since 0.1.
 *
 * @pre `config_file` is a NUL-terminated string; `options` is NULL or a handle that no other thread changes; `pool` can
 * be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_pool_open(const char *config_file,
                                       const struct rclonepool_options *options,
                                       struct rclonepool_pool **pool,
                                       struct rclonepool_error **err);

/**
 * As `rclonepool_pool_open`, with the JSON text of a configuration instead of a file. Since 0.1.
 *
 * @pre As for `rclonepool_pool_open`.
 */
rclonepool_status rclonepool_pool_open_json(const char *config_json,
                                            const struct rclonepool_options *options,
                                            struct rclonepool_pool **pool,
                                            struct rclonepool_error **err);

/**
 * Makes the pool that a configuration file describes: a marker on every remote, then the first entry of its
 * journal. Done again it changes nothing. The report (which may be NULL) has "pool", the id, which belongs into
 * the configuration as "pool_id", and "created". Fails with `_ALREADY_EXISTS` when a remote belongs to another
 * pool. Since 0.1.
 *
 * @pre As for `rclonepool_pool_open`; `report` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_init(const char *config_file,
                                  const struct rclonepool_options *options,
                                  struct rclonepool_report **report,
                                  struct rclonepool_error **err);

/**
 * As `rclonepool_init`, with the JSON text of a configuration instead of a file. Since 0.1.
 *
 * @pre As for `rclonepool_init`.
 */
rclonepool_status rclonepool_init_json(const char *config_json,
                                       const struct rclonepool_options *options,
                                       struct rclonepool_report **report,
                                       struct rclonepool_error **err);

/**
 * Lists the remotes anew and takes in what other machines have changed since. Calls that write do so by
 * themselves; those that only look answer from what is known here. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_pool_refresh(const struct rclonepool_pool *pool, struct rclonepool_error **err);

/**
 * Closes a pool: cancels what is running, waits for it, offers the last changes to slow remotes (for a bounded
 * time) and ends the pool's threads. The handle, and those made of it, stay to be freed; other calls with them fail
 * with `_INVALID_ARGUMENT`. Closed again, nothing happens. Fails with `_BUSY` from a callback of this pool and from
 * a log callback, with `_UNSUPPORTED` after fork(). Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_pool_close(const struct rclonepool_pool *pool,
                                        struct rclonepool_error **err);

/**
 * Closes a pool that is not closed, as `rclonepool_pool_close`, and frees it; NULL is allowed. From one of the
 * library's callbacks it returns at once, and the pool is closed by a thread of its own. Since 0.1.
 *
 * @pre `pool` is NULL or a handle that was not freed; it is not used again, and no other thread uses it now.
 */
void rclonepool_pool_free(struct rclonepool_pool *pool);

/**
 * Opens the file `path` for reading. Reads nothing yet. Fails with `_NOT_FOUND`, and with `_INVALID_ARGUMENT` for
 * what is no file. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `path` is a NUL-terminated string; `reader` can be written; `err` is NULL
 * or points to where a pointer may be written.
 */
rclonepool_status rclonepool_reader_open(const struct rclonepool_pool *pool,
                                         const char *path,
                                         struct rclonepool_reader **reader,
                                         struct rclonepool_error **err);

/**
 * The length of the file in bytes; 0 for NULL. Since 0.1.
 *
 * @pre `reader` is NULL or a handle that was not freed.
 */
uint64_t rclonepool_reader_size(const struct rclonepool_reader *reader);

/**
 * Reads from the reader's position, which moves on. Writes to `buffer` as many bytes as there is room for, or as
 * are left of the file, and to `read` how many these are: 0 at the end. Fails with `_UNAVAILABLE`,
 * `_UNRECOVERABLE`, `_CORRUPT`; the position is then as before. Since 0.1.
 *
 * @pre `reader` is a handle that was not freed and that no other thread uses; `buffer` points to `size` bytes, or is
 * NULL and `size` is 0; `read` can be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_reader_read(struct rclonepool_reader *reader,
                                         void *buffer,
                                         size_t size,
                                         size_t *read,
                                         struct rclonepool_error **err);

/**
 * As `rclonepool_reader_read`, from the byte `offset` on; the reader's position stays. Several threads may call it
 * at once. A read that begins where one ended is the fastest. Since 0.1.
 *
 * @pre `reader` is a handle that was not freed; else as for `rclonepool_reader_read`.
 */
rclonepool_status rclonepool_reader_pread(const struct rclonepool_reader *reader,
                                          uint64_t offset,
                                          void *buffer,
                                          size_t size,
                                          size_t *read,
                                          struct rclonepool_error **err);

/**
 * Moves the reader's position to `offset` bytes from `whence`, one of `rclonepool_whence`, and writes where it is now
 * to `position` (which may be NULL). It may lie behind the end, where nothing is read. Since 0.1.
 *
 * @pre `reader` is a handle that was not freed and that no other thread uses; `position` is NULL or can be written; `err`
 * is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_reader_seek(struct rclonepool_reader *reader,
                                         int64_t offset,
                                         int32_t whence,
                                         uint64_t *position,
                                         struct rclonepool_error **err);

/**
 * Frees a reader; NULL is allowed. Since 0.1.
 *
 * @pre `reader` is NULL or a handle that was not freed; it is not used again.
 */
void rclonepool_reader_free(struct rclonepool_reader *reader);

/**
 * All of a report as JSON, the keys as the command prints them with --json; "" for NULL. The text lives until the
 * report is freed. Since 0.1.
 *
 * @pre `report` is NULL or a handle that was not freed.
 */
const char *rclonepool_report_json(const struct rclonepool_report *report);

/**
 * What a report amounts to: `RCLONEPOOL_STATUS_OK`; `_PARTIAL` where single files failed; of a verification
 * `_UNRECOVERABLE`, `_CORRUPT`, `_DEGRADED` or `_UNAVAILABLE`; of a health report these but `_CORRUPT`. `_OK` for
 * NULL. Since 0.1.
 *
 * @pre `report` is NULL or a handle that was not freed.
 */
rclonepool_status rclonepool_report_status(const struct rclonepool_report *report);

/**
 * Writes the whole number at `place` to `value`; true and false are 1 and 0. Fails with
 * `RCLONEPOOL_STATUS_NOT_FOUND` where there is nothing, `_INVALID_ARGUMENT` for something else. Since 0.1.
 *
 * @pre `report` is a handle that was not freed; `place` is a NUL-terminated string; `value` can be written; `err` is
 * NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_report_integer(const struct rclonepool_report *report,
                                            const char *place,
                                            int64_t *value,
                                            struct rclonepool_error **err);

/**
 * Writes the number at `place` to `value`. Fails as `rclonepool_report_integer`. Since 0.1.
 *
 * @pre As for `rclonepool_report_integer`.
 */
rclonepool_status rclonepool_report_real(const struct rclonepool_report *report,
                                         const char *place,
                                         double *value,
                                         struct rclonepool_error **err);

/**
 * Writes a pointer to the text at `place` to `value`, NULL where the report says null. The text lives until the
 * report is freed. Fails as `rclonepool_report_integer`. Since 0.1.
 *
 * @pre As for `rclonepool_report_integer`.
 */
rclonepool_status rclonepool_report_text(const struct rclonepool_report *report,
                                         const char *place,
                                         const char **value,
                                         struct rclonepool_error **err);

/**
 * Writes how many items the list (or members the object) at `place` has to `value`; "" is the report itself.
 * Fails as `rclonepool_report_integer`. Since 0.1.
 *
 * @pre As for `rclonepool_report_integer`.
 */
rclonepool_status rclonepool_report_length(const struct rclonepool_report *report,
                                           const char *place,
                                           size_t *value,
                                           struct rclonepool_error **err);

/**
 * Frees a report, and with it its texts; NULL is allowed. Since 0.1.
 *
 * @pre `report` is NULL or a handle that was not freed, and not lent by a plan; it is not used again.
 */
void rclonepool_report_free(struct rclonepool_report *report);

/**
 * Stores a local file at `path`, or what lies below a local directory below `path`. What is there already with the
 * same size and time is skipped. Options: `FORCE`, `CHECKSUM`, `MTIME_NS`, `CONTENT_TYPE`, `INCLUDE`, `EXCLUDE`,
 * `LINKS`, `DRY_RUN`. The report has "files", "bytes", "unchanged", "resumed_bytes", "skipped", "failed", "stale".
 * Where single files of a directory fail, the others go on, and the call fails with `_PARTIAL` at the end, giving
 * the report all the same. Fails with `_NOT_FOUND`, `_SOURCE_CHANGED`, `_FULL`, `_UNAVAILABLE`, `_CANCELLED`, and
 * then nothing of the file is to be seen in the pool. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `local` and `path` are NUL-terminated strings; `options` is NULL or a
 * handle that no other thread changes; `callback` may be called with `userdata`;
 * `report` is NULL or points to where a pointer may be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_upload(const struct rclonepool_pool *pool,
                                    const char *local,
                                    const char *path,
                                    const struct rclonepool_options *options,
                                    rclonepool_event_fn callback,
                                    void *userdata,
                                    struct rclonepool_report **report,
                                    struct rclonepool_error **err);

/**
 * Begins what `rclonepool_upload` does; the arguments are copied. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `local` and `path` are NUL-terminated strings; `options` is NULL or a
 * handle that no other thread changes; `op` can be written; `err` is NULL or points to
 * where a pointer may be written.
 */
rclonepool_status rclonepool_upload_start(const struct rclonepool_pool *pool,
                                          const char *local,
                                          const char *path,
                                          const struct rclonepool_options *options,
                                          struct rclonepool_op **op,
                                          struct rclonepool_error **err);

/**
 * Writes a file of the pool to the local file (or into the local directory) `local`, or what lies below a directory
 * of the pool below `local`. A file appears under its name when all of it is there and verified. Options: `FORCE`,
 * `INCLUDE`, `EXCLUDE`, `DRY_RUN`. The report has "files", "bytes", "unchanged", "failed", "degraded". Fails as
 * `rclonepool_upload` does, and with `_UNRECOVERABLE`. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `path` and `local` are NUL-terminated strings; `options` is NULL or a
 * handle that no other thread changes; `callback` may be called with `userdata`;
 * `report` is NULL or points to where a pointer may be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_download(const struct rclonepool_pool *pool,
                                      const char *path,
                                      const char *local,
                                      const struct rclonepool_options *options,
                                      rclonepool_event_fn callback,
                                      void *userdata,
                                      struct rclonepool_report **report,
                                      struct rclonepool_error **err);

/**
 * Begins what `rclonepool_download` does; the arguments are copied. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `path` and `local` are NUL-terminated strings; `options` is NULL or a
 * handle that no other thread changes; `op` can be written; `err` is NULL or points to
 * where a pointer may be written.
 */
rclonepool_status rclonepool_download_start(const struct rclonepool_pool *pool,
                                            const char *path,
                                            const char *local,
                                            const struct rclonepool_options *options,
                                            struct rclonepool_op **op,
                                            struct rclonepool_error **err);

/**
 * Puts the missing and damaged shards of a file anew from a local copy of it, and reads back what it put. Option:
 * `DRY_RUN`. The report has "checked", "damaged", "unknown", "replaced", "rebuilt". Fails with `_INVALID_ARGUMENT`
 * when the copy is not the same content. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `path` and `local` are NUL-terminated strings; `options` is NULL or a
 * handle that no other thread changes; `callback` may be called with `userdata`;
 * `report` is NULL or points to where a pointer may be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_repair(const struct rclonepool_pool *pool,
                                    const char *path,
                                    const char *local,
                                    const struct rclonepool_options *options,
                                    rclonepool_event_fn callback,
                                    void *userdata,
                                    struct rclonepool_report **report,
                                    struct rclonepool_error **err);

/**
 * Begins what `rclonepool_repair` does; the arguments are copied. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `path` and `local` are NUL-terminated strings; `options` is NULL or a
 * handle that no other thread changes; `op` can be written; `err` is NULL or points to
 * where a pointer may be written.
 */
rclonepool_status rclonepool_repair_start(const struct rclonepool_pool *pool,
                                          const char *path,
                                          const char *local,
                                          const struct rclonepool_options *options,
                                          struct rclonepool_op **op,
                                          struct rclonepool_error **err);

/**
 * The version of the library, as "0.1.0"; it lives for ever. Since 0.1.
 */
const char *rclonepool_version(void);

/**
 * The version of the library as a number, major * 1000000 + minor * 1000 + patch: what
 * `RCLONEPOOL_VERSION_NUMBER` is for the header. Since 0.1.
 */
uint32_t rclonepool_version_number(void);

/**
 * Begins to write the file `path`. Options: `FORCE`, `MTIME_NS`, `CONTENT_TYPE`. What is wrong with the path is
 * told by a later call, as the pool is not asked yet. Since 0.1.
 *
 * @pre `pool` is a handle that was not freed; `path` is a NUL-terminated string; `options` is NULL or a handle that no
 * other thread changes; `writer` can be written; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_writer_open(const struct rclonepool_pool *pool,
                                         const char *path,
                                         const struct rclonepool_options *options,
                                         struct rclonepool_writer **writer,
                                         struct rclonepool_error **err);

/**
 * Writes `size` bytes, which are copied; waits while the remotes are slower. After a failure, which may be one of
 * bytes written before, the writer can only be freed. Since 0.1.
 *
 * @pre `writer` is a handle that was not freed and that no other thread uses; `data` points to `size` bytes, or is NULL
 * and `size` is 0; `err` is NULL or points to where a pointer may be written.
 */
rclonepool_status rclonepool_writer_write(struct rclonepool_writer *writer,
                                          const void *data,
                                          size_t size,
                                          struct rclonepool_error **err);

/**
 * Stores what was written as the file: when it returns `RCLONEPOOL_STATUS_OK` the file is in the pool, else nothing
 * of it is. The report (which may be NULL) is that of `rclonepool_upload`. Done once. Fails as
 * `rclonepool_upload`. Since 0.1.
 *
 * @pre `writer` is a handle that was not freed and that no other thread uses; `report` and `err` are NULL or point to
 * where a pointer may be written.
 */
rclonepool_status rclonepool_writer_commit(struct rclonepool_writer *writer,
                                           struct rclonepool_report **report,
                                           struct rclonepool_error **err);

/**
 * Gives up what was written: nothing appears in the pool. After a commit, and for NULL, nothing happens. Since 0.1.
 *
 * @pre `writer` is NULL or a handle that was not freed and that no other thread uses.
 */
void rclonepool_writer_abort(struct rclonepool_writer *writer);

/**
 * Frees a writer; one that was not committed is aborted. NULL is allowed. Since 0.1.
 *
 * @pre `writer` is NULL or a handle that was not freed; it is not used again.
 */
void rclonepool_writer_free(struct rclonepool_writer *writer);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* RCLONEPOOL_H */
