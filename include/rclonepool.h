/* rclonepool: one storage pool out of many rclone remotes. The C ABI.
 * Generated from ffi/src by cbindgen: do not edit, run `make header`.
 *
 * Handles are opaque; what a call gives you is freed by the object's _free, which takes NULL too.
 * A call that can fail returns a rclonepool_status: 0, or a negative code that is never renumbered.
 * Its last parameter, rclonepool_error **, may be NULL; it is written only on failure.
 * Text goes in as NUL-terminated UTF-8; text that comes out lives as long as its owner.
 * Functions may be called from any thread; a handle taken by a non-const pointer must not be in use
 * elsewhere at that time. */


#ifndef RCLONEPOOL_H
#define RCLONEPOOL_H

#include <stdint.h>

/* The version of this header; rclonepool_version_number() gives that of the library. */
#define RCLONEPOOL_VERSION_MAJOR 0
#define RCLONEPOOL_VERSION_MINOR 1
#define RCLONEPOOL_VERSION_PATCH 0
#define RCLONEPOOL_VERSION_NUMBER 1000

/**
 * What a call returns: 0, or one negative code per kind of failure. Codes are never renumbered;
 * later versions may add some.
 */
enum rclonepool_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
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
 * Why a call failed. Owned by the caller; freed by `rclonepool_error_free`.
 */
typedef struct rclonepool_error rclonepool_error;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The code of the failure; `RCLONEPOOL_STATUS_OK` for NULL. Since 0.1.
 *
 * # Safety
 * `error` is NULL or an error that was not freed.
 */
rclonepool_status rclonepool_error_status(const struct rclonepool_error *error);

/**
 * What failed, where, why and what to do about it, on one line; "" for NULL. The text lives
 * until the error is freed. Since 0.1.
 *
 * # Safety
 * `error` is NULL or an error that was not freed.
 */
const char *rclonepool_error_message(const struct rclonepool_error *error);

/**
 * 1 when the same call may succeed a little later, else 0; 0 for NULL. Since 0.1.
 *
 * # Safety
 * `error` is NULL or an error that was not freed.
 */
int32_t rclonepool_error_retryable(const struct rclonepool_error *error);

/**
 * Frees an error; NULL is allowed. Since 0.1.
 *
 * # Safety
 * `error` is NULL or an error that was not freed; it is not used again.
 */
void rclonepool_error_free(struct rclonepool_error *error);

/**
 * Checks that `path` can name a file or directory of a pool: absolute, components of 1 to 255
 * bytes joined by "/", none of them "." or "..", at most 4,096 bytes in all, outside the reserved
 * "/.rclonepool/". Fails with `RCLONEPOOL_STATUS_INVALID_ARGUMENT`. Since 0.1.
 *
 * # Safety
 * `path` is NULL or a NUL-terminated string; `err` is NULL or points to where a pointer may be
 * written.
 */
rclonepool_status rclonepool_path_check(const char *path, struct rclonepool_error **err);

/**
 * The version of the library, as "0.1.0"; it lives for ever. Since 0.1.
 */
const char *rclonepool_version(void);

/**
 * The version of the library as a number, major * 1000000 + minor * 1000 + patch: what
 * `RCLONEPOOL_VERSION_NUMBER` is for the header. Since 0.1.
 */
uint32_t rclonepool_version_number(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* RCLONEPOOL_H */
