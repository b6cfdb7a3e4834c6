/** @file
 * rclonepool for C++17 and later: rclonepool.h with owners, results and views. Header only.
 *
 * Every call that can fail gives a Result, which must be looked at; value() throws where exceptions are enabled.
 * Objects own what they stand for, can be moved and not copied. What is said of threads in rclonepool.h holds here
 * too: const members may be called by several threads at once. capi() gives the handle for calls of the C API.
 */
#ifndef RCLONEPOOL_HPP
#define RCLONEPOOL_HPP

#include <rclonepool.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>
#if __has_include(<span>) && __cplusplus >= 202002L
#include <span>
#endif

namespace rclonepool {

/** @cond detail */
namespace detail {
template <typename T, void (*Free)(T *)> struct Deleter {
    void operator()(T *handle) const noexcept { Free(handle); }
};
template <typename T, void (*Free)(T *)> using Owner = std::unique_ptr<T, Deleter<T, Free>>;
inline std::vector<const char *> pointers(const std::vector<std::string> &texts) {
    std::vector<const char *> pointers;
    pointers.reserve(texts.size());
    for (const auto &text : texts) {
        pointers.push_back(text.c_str());
    }
    return pointers;
}
inline std::string_view view(const char *text) { return text ? std::string_view(text) : std::string_view(); }
} // namespace detail
/** @endcond */

/** Why a call failed. */
class Error {
public:
    /** Takes over an error; without one, only the code is known. */
    explicit Error(rclonepool_status status, rclonepool_error *error = nullptr) : status_(status), error_(error) {}
    /** The code. */
    [[nodiscard]] rclonepool_status status() const { return status_; }
    /** What failed, where, why and what to do, on one line. */
    [[nodiscard]] const char *message() const { return error_ ? rclonepool_error_message(error_.get()) : "failed"; }
    /** The remote it happened on; empty where there is none. */
    [[nodiscard]] std::string_view remote() const { return detail::view(rclonepool_error_remote(error_.get())); }
    /** The path it happened to; empty where there is none. */
    [[nodiscard]] std::string_view path() const { return detail::view(rclonepool_error_path(error_.get())); }
    /** What to do about it; empty where there is nothing. */
    [[nodiscard]] std::string_view hint() const { return detail::view(rclonepool_error_hint(error_.get())); }
    /** Whether the same call may succeed a little later. */
    [[nodiscard]] bool retryable() const { return rclonepool_error_retryable(error_.get()) != 0; }

private:
    rclonepool_status status_;
    detail::Owner<rclonepool_error, rclonepool_error_free> error_;
};

/** What Result::value throws. Copies share the error. */
class Exception : public std::exception {
public:
    /** Takes over an error. */
    explicit Exception(Error error) : error_(std::make_shared<Error>(std::move(error))) {}
    /** As Error::message. */
    [[nodiscard]] const char *what() const noexcept override { return error_->message(); }
    /** The error. */
    [[nodiscard]] const Error &error() const { return *error_; }

private:
    std::shared_ptr<Error> error_;
};

/** What a call gives: a value, or the error it failed with. */
template <typename T> class [[nodiscard]] Result {
public:
    /** A value. */
    Result(T value) : held_(std::in_place_index<0>, std::move(value)) {} // NOLINT: meant to convert
    /** An error. */
    Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {} // NOLINT: meant to convert
    /** Whether there is a value. */
    [[nodiscard]] bool ok() const { return held_.index() == 0; }
    /** Whether there is a value. */
    explicit operator bool() const { return ok(); }
    /** The value, which must be there. */
    T &operator*() & { return *std::get_if<0>(&held_); }
    /** The value, which must be there. */
    T &&operator*() && { return std::move(*std::get_if<0>(&held_)); }
    /** A member of the value, which must be there. */
    T *operator->() { return std::get_if<0>(&held_); }
    /** The error, which must be there. */
    [[nodiscard]] Error &error() { return *std::get_if<1>(&held_); }
    /** The value; throws Exception for an error (without exceptions: aborts). */
    T value() && {
        if (!ok()) {
#if defined(__cpp_exceptions)
            throw Exception(std::move(error()));
#else
            std::abort();
#endif
        }
        return std::move(*std::get_if<0>(&held_));
    }

private:
    std::variant<T, Error> held_;
};

/** Nothing, where a Result is only success or failure. */
struct Done {};

/** @cond detail */
namespace detail {
/** Calls C for success or failure. */
template <typename Call, typename... Args> Result<Done> done(Call call, Args... args) {
    rclonepool_error *error = nullptr;
    auto status = call(args..., &error);
    return status < RCLONEPOOL_STATUS_OK ? Result<Done>(Error(status, error)) : Done();
}
/** Calls C for a value. */
template <typename T, typename Call, typename... Args> Result<T> fetch(Call call, Args... args) {
    T value{};
    rclonepool_error *error = nullptr;
    auto status = call(args..., &value, &error);
    return status < RCLONEPOOL_STATUS_OK ? Result<T>(Error(status, error)) : Result<T>(std::move(value));
}
/** Calls C for a handle, and gives its owner. Where part of the work failed C may give both handle and error. */
template <typename T, typename Handle, typename Call, typename... Args> Result<T> make(Call call, Args... args) {
    Handle *handle = nullptr;
    rclonepool_error *error = nullptr;
    auto status = call(args..., &handle, &error);
    T owner(handle);
    return status < RCLONEPOOL_STATUS_OK ? Result<T>(Error(status, error)) : Result<T>(std::move(owner));
}
} // namespace detail
/** @endcond */

/** Bytes that belong to somebody else. */
class Bytes {
public:
    /** `size` bytes from `data` on. */
    Bytes(const void *data, std::size_t size) : data_(data), size_(size) {}
    /** The bytes of a text. */
    Bytes(std::string_view text) : Bytes(text.data(), text.size()) {} // NOLINT: meant to convert
    /** The bytes of a text. */
    Bytes(const std::string &text) : Bytes(text.data(), text.size()) {} // NOLINT: meant to convert
    /** The bytes of a vector of bytes. */
    template <typename Byte, typename = std::enable_if_t<sizeof(Byte) == 1>>
    Bytes(const std::vector<Byte> &bytes) : Bytes(bytes.data(), bytes.size()) {} // NOLINT: meant to convert
#if defined(__cpp_lib_span)
    /** A span. */
    Bytes(std::span<const std::byte> span) : Bytes(span.data(), span.size()) {} // NOLINT: meant to convert
#endif
    /** Where they begin. */
    [[nodiscard]] const void *data() const { return data_; }
    /** How many they are. */
    [[nodiscard]] std::size_t size() const { return size_; }

private:
    const void *data_;
    std::size_t size_;
};

/** Takes events; see rclonepool_event_fn. What is false cancels. An exception cancels too, and is thrown again by the
 * call that was given the function. */
using OnEvent = std::function<bool(const rclonepool_event &)>;

/** @cond detail */
namespace detail {
/** Carries an OnEvent through C. */
class Callback {
public:
    explicit Callback(const OnEvent &function) : function_(function) {}
    [[nodiscard]] rclonepool_event_fn function() const { return function_ ? &call : nullptr; }
    /** To be called when the C call has returned. */
    void rethrow() {
#if defined(__cpp_exceptions)
        if (thrown_) {
            std::rethrow_exception(thrown_);
        }
#endif
    }

private:
    static std::int32_t call(void *self, const rclonepool_event *event) {
        auto *callback = static_cast<Callback *>(self);
#if defined(__cpp_exceptions)
        try {
            return callback->thrown_ || !callback->function_(*event) ? 1 : 0;
        } catch (...) {
            callback->thrown_ = std::current_exception();
            return 1;
        }
#else
        return callback->function_(*event) ? 0 : 1;
#endif
    }
    const OnEvent &function_;
    std::exception_ptr thrown_;
};
} // namespace detail
/** @endcond */

/** What an operation is told beside its arguments: `Options().force().include("*.jpg")`. What cannot be set at all is
 * refused by the operation. */
class Options {
public:
    /** Options without any set. */
    Options() : handle_(rclonepool_options_new()) {}
    /** Sets a whole number or a flag. */
    Options &set(rclonepool_option option, std::int64_t value) {
        return kept(rclonepool_options_set_integer(handle_.get(), option, value, nullptr));
    }
    /** Sets a text. */
    Options &set(rclonepool_option option, const std::string &value) {
        return kept(rclonepool_options_set_text(handle_.get(), option, value.c_str(), nullptr));
    }
    /** See RCLONEPOOL_OPTION_WORKERS. */
    Options &workers(int count) { return set(RCLONEPOOL_OPTION_WORKERS, std::int64_t(count)); }
    /** See RCLONEPOOL_OPTION_INHERIT_ENV. */
    Options &inherit_env(bool on = true) { return set(RCLONEPOOL_OPTION_INHERIT_ENV, std::int64_t(on)); }
    /** See RCLONEPOOL_OPTION_FORCE. */
    Options &force(bool on = true) { return set(RCLONEPOOL_OPTION_FORCE, std::int64_t(on)); }
    /** See RCLONEPOOL_OPTION_RECURSIVE. */
    Options &recursive(bool on = true) { return set(RCLONEPOOL_OPTION_RECURSIVE, std::int64_t(on)); }
    /** See RCLONEPOOL_OPTION_OVERWRITE. */
    Options &overwrite(bool on = true) { return set(RCLONEPOOL_OPTION_OVERWRITE, std::int64_t(on)); }
    /** See RCLONEPOOL_OPTION_PURGE. */
    Options &purge(bool on = true) { return set(RCLONEPOOL_OPTION_PURGE, std::int64_t(on)); }
    /** See RCLONEPOOL_OPTION_DRY_RUN. */
    Options &dry_run(bool on = true) { return set(RCLONEPOOL_OPTION_DRY_RUN, std::int64_t(on)); }
    /** See RCLONEPOOL_OPTION_ALL. */
    Options &all(bool on = true) { return set(RCLONEPOOL_OPTION_ALL, std::int64_t(on)); }
    /** See RCLONEPOOL_OPTION_INCLUDE. */
    Options &include(const std::string &pattern) { return set(RCLONEPOOL_OPTION_INCLUDE, pattern); }
    /** See RCLONEPOOL_OPTION_EXCLUDE. */
    Options &exclude(const std::string &pattern) { return set(RCLONEPOOL_OPTION_EXCLUDE, pattern); }
    /** See RCLONEPOOL_OPTION_PATH. */
    Options &path(const std::string &path) { return set(RCLONEPOOL_OPTION_PATH, path); }
    /** See RCLONEPOOL_OPTION_LEVEL. */
    Options &level(rclonepool_level level) { return set(RCLONEPOOL_OPTION_LEVEL, std::int64_t(level)); }
    /** See RCLONEPOOL_OPTION_SAMPLE. */
    Options &sample(std::int64_t thousandths_of_a_percent) { return set(RCLONEPOOL_OPTION_SAMPLE, thousandths_of_a_percent); }
    /** See RCLONEPOOL_OPTION_LIST. */
    Options &list(std::int64_t files) { return set(RCLONEPOOL_OPTION_LIST, files); }
    /** See RCLONEPOOL_OPTION_LOST. */
    Options &lost(const std::string &remote) { return set(RCLONEPOOL_OPTION_LOST, remote); }
    /** See RCLONEPOOL_OPTION_ACCEPT_LOSS. */
    Options &accept_loss(bool on = true) { return set(RCLONEPOOL_OPTION_ACCEPT_LOSS, std::int64_t(on)); }
    /** See RCLONEPOOL_OPTION_MIN_AGE_MS. */
    Options &min_age_ms(std::int64_t age) { return set(RCLONEPOOL_OPTION_MIN_AGE_MS, age); }
    /** See RCLONEPOOL_OPTION_ALONE. */
    Options &alone(bool on = true) { return set(RCLONEPOOL_OPTION_ALONE, std::int64_t(on)); }
    /** See RCLONEPOOL_OPTION_VERSION. */
    Options &version(const std::string &version) { return set(RCLONEPOOL_OPTION_VERSION, version); }
    /** See RCLONEPOOL_OPTION_TO. */
    Options &to(const std::string &path) { return set(RCLONEPOOL_OPTION_TO, path); }
    /** See RCLONEPOOL_OPTION_CONTENT_TYPE. */
    Options &content_type(const std::string &type) { return set(RCLONEPOOL_OPTION_CONTENT_TYPE, type); }
    /** Whether all that was set could be. */
    [[nodiscard]] bool ok() const { return ok_; }
    /** The handle for the C API; where something could not be set, one that every operation refuses. */
    [[nodiscard]] const rclonepool_options *capi() const {
        // No NULL, which would mean options without any set.
        return ok_ ? handle_.get() : reinterpret_cast<const rclonepool_options *>(&refused);
    }

private:
    Options &kept(rclonepool_status status) {
        ok_ = ok_ && status == RCLONEPOOL_STATUS_OK;
        return *this;
    }
    static constexpr std::uint64_t refused = 0;
    detail::Owner<rclonepool_options, rclonepool_options_free> handle_;
    bool ok_ = true;
};

/** A report that belongs to somebody else; its values are read by JSON pointers such as "/files". */
class ReportView {
public:
    /** A view of a report. */
    explicit ReportView(const rclonepool_report *report) : report_(report) {}
    /** All of it as JSON. */
    [[nodiscard]] const char *json() const { return rclonepool_report_json(report_); }
    /** What it amounts to. */
    [[nodiscard]] rclonepool_status status() const { return rclonepool_report_status(report_); }
    /** A whole number, or a flag. */
    Result<std::int64_t> integer(const char *place) const { return detail::fetch<std::int64_t>(rclonepool_report_integer, report_, place); }
    /** A number. */
    Result<double> real(const char *place) const { return detail::fetch<double>(rclonepool_report_real, report_, place); }
    /** A text; NULL for null. */
    Result<const char *> text(const char *place) const { return detail::fetch<const char *>(rclonepool_report_text, report_, place); }
    /** How many items a list has. */
    Result<std::size_t> length(const char *place) const { return detail::fetch<std::size_t>(rclonepool_report_length, report_, place); }
    /** The handle for the C API. */
    [[nodiscard]] const rclonepool_report *capi() const { return report_; }

private:
    const rclonepool_report *report_;
};

/** A report. */
class Report : public ReportView {
public:
    /** Takes over a report. */
    explicit Report(rclonepool_report *report = nullptr) : ReportView(report), owner_(report) {}

private:
    detail::Owner<rclonepool_report, rclonepool_report_free> owner_;
};

/** An entry that belongs to somebody else. */
class EntryView {
public:
    /** A view of an entry. */
    explicit EntryView(const rclonepool_entry *entry = nullptr) : entry_(entry) {}
    /** Its path. */
    [[nodiscard]] std::string_view path() const { return rclonepool_entry_path(entry_); }
    /** Its name. */
    [[nodiscard]] std::string_view name() const { return rclonepool_entry_name(entry_); }
    /** What it is. */
    [[nodiscard]] rclonepool_entry_kind kind() const { return rclonepool_entry_get_kind(entry_); }
    /** Whether it is a directory. */
    [[nodiscard]] bool is_directory() const { return kind() == RCLONEPOOL_ENTRY_KIND_DIRECTORY; }
    /** Its length in bytes. */
    [[nodiscard]] std::uint64_t size() const { return rclonepool_entry_size(entry_); }
    /** Its modification time in nanoseconds since 1970. */
    [[nodiscard]] std::int64_t mtime_ns() const { return rclonepool_entry_mtime_ns(entry_); }
    /** Whether it is executable. */
    [[nodiscard]] bool executable() const { return rclonepool_entry_executable(entry_) != 0; }
    /** Its MIME type; empty where none was recorded. */
    [[nodiscard]] std::string_view content_type() const { return detail::view(rclonepool_entry_content_type(entry_)); }
    /** Where a link leads. */
    [[nodiscard]] std::string_view link_target() const { return detail::view(rclonepool_entry_link_target(entry_)); }
    /** The handle for the C API. */
    [[nodiscard]] const rclonepool_entry *capi() const { return entry_; }

private:
    const rclonepool_entry *entry_;
};

/** An entry. */
class Entry : public EntryView {
public:
    /** Takes over an entry. */
    explicit Entry(rclonepool_entry *entry = nullptr) : EntryView(entry), owner_(entry) {}

private:
    detail::Owner<rclonepool_entry, rclonepool_entry_free> owner_;
};

/** A listing, to be gone through once: `for (auto entry : list)`. After the loop, ok() says whether it came to the
 * end. */
class List {
public:
    /** Takes over a list. */
    explicit List(rclonepool_list *list = nullptr) : list_(list) {}
    /** The next entry, which is lent until the next call; none at the end. */
    Result<std::optional<EntryView>> next() {
        auto next = detail::fetch<const rclonepool_entry *>(rclonepool_list_next, list_.get());
        if (!next) {
            return std::move(next.error());
        }
        return *next ? std::optional<EntryView>(EntryView(*next)) : std::nullopt;
    }
    /** Goes through a list. */
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag; /**< Once only. */
        using value_type = EntryView;                      /**< What it gives. */
        using difference_type = std::ptrdiff_t;            /**< As for every iterator. */
        using pointer = const EntryView *;                 /**< As for every iterator. */
        using reference = const EntryView &;               /**< As for every iterator. */
        /** The end, or the next entry of a list. */
        explicit Iterator(List *list = nullptr) : list_(list) { ++*this; }
        /** The entry. */
        reference operator*() const { return entry_; }
        /** The entry. */
        pointer operator->() const { return &entry_; }
        /** The next one. */
        Iterator &operator++() {
            if (list_) {
                auto next = list_->next();
                if (!next) {
                    list_->error_ = std::move(next.error());
                }
                if (!next || !*next) {
                    list_ = nullptr;
                } else {
                    entry_ = **next;
                }
            }
            return *this;
        }
        /** Whether both are at the end, or both are not. */
        bool operator!=(const Iterator &other) const { return list_ != other.list_; }
        /** Whether both are at the end, or both are not. */
        bool operator==(const Iterator &other) const { return list_ == other.list_; }

    private:
        List *list_;
        EntryView entry_;
    };
    /** The first entry that was not gone through yet. */
    Iterator begin() { return Iterator(this); }
    /** The end. */
    Iterator end() { return Iterator(); }
    /** Whether nothing failed so far. */
    [[nodiscard]] bool ok() const { return !error_; }
    /** What failed, while going through it. */
    [[nodiscard]] const std::optional<Error> &error() const { return error_; }

private:
    detail::Owner<rclonepool_list, rclonepool_list_free> list_;
    std::optional<Error> error_;
};

/** Bytes that the library holds. */
class Buffer {
public:
    /** Takes over a buffer. */
    explicit Buffer(rclonepool_buffer *buffer = nullptr) : buffer_(buffer) {}
    /** Where they begin. */
    [[nodiscard]] const void *data() const { return rclonepool_buffer_data(buffer_.get()); }
    /** How many they are. */
    [[nodiscard]] std::size_t size() const { return rclonepool_buffer_size(buffer_.get()); }
    /** All of them as text. */
    [[nodiscard]] std::string_view text() const { return {static_cast<const char *>(data()), size()}; }

private:
    detail::Owner<rclonepool_buffer, rclonepool_buffer_free> buffer_;
};

/** A file that is being read. */
class Reader {
public:
    /** Takes over a reader. */
    explicit Reader(rclonepool_reader *reader = nullptr) : reader_(reader) {}
    /** The length of the file. */
    [[nodiscard]] std::uint64_t size() const { return rclonepool_reader_size(reader_.get()); }
    /** Reads from the position, which moves on; 0 at the end. */
    Result<std::size_t> read(void *buffer, std::size_t size) {
        return detail::fetch<std::size_t>(rclonepool_reader_read, reader_.get(), buffer, size);
    }
    /** Reads from `offset` on; the position stays. */
    Result<std::size_t> pread(std::uint64_t offset, void *buffer, std::size_t size) const {
        return detail::fetch<std::size_t>(rclonepool_reader_pread, reader_.get(), offset, buffer, size);
    }
    /** Moves the position, and gives it. */
    Result<std::uint64_t> seek(std::int64_t offset, rclonepool_whence whence = RCLONEPOOL_WHENCE_SET) {
        return detail::fetch<std::uint64_t>(rclonepool_reader_seek, reader_.get(), offset, whence);
    }

private:
    detail::Owner<rclonepool_reader, rclonepool_reader_free> reader_;
};

/** A file that is being written: nothing of it is to be seen before commit(), and nothing at all without it. */
class Writer {
public:
    /** Takes over a writer. */
    explicit Writer(rclonepool_writer *writer = nullptr) : writer_(writer) {}
    /** Writes bytes. */
    Result<Done> write(Bytes bytes) {
        return detail::done(rclonepool_writer_write, writer_.get(), bytes.data(), bytes.size());
    }
    /** Stores what was written as the file. */
    Result<Report> commit() {
        return detail::make<Report, rclonepool_report>(rclonepool_writer_commit, writer_.get());
    }
    /** Gives up what was written. */
    void abort() { rclonepool_writer_abort(writer_.get()); }

private:
    detail::Owner<rclonepool_writer, rclonepool_writer_free> writer_;
};

/** What would be done. */
class Plan {
public:
    /** Takes over a plan. */
    explicit Plan(rclonepool_plan *plan = nullptr) : plan_(plan) {}
    /** What it says; lives as long as the plan. */
    [[nodiscard]] ReportView report() const { return ReportView(rclonepool_plan_report(plan_.get())); }
    /** The handle for the C API. */
    [[nodiscard]] const rclonepool_plan *capi() const { return plan_.get(); }

private:
    detail::Owner<rclonepool_plan, rclonepool_plan_free> plan_;
};

/** An operation under way; cancelled when it is destroyed. */
class Operation {
public:
    /** Takes over an operation. */
    explicit Operation(rclonepool_op *op = nullptr) : op_(op) {}
    /** Whether it has ended. */
    [[nodiscard]] bool is_done() const { return rclonepool_op_is_done(op_.get()) != 0; }
    /** How far it is. */
    [[nodiscard]] rclonepool_progress progress() const {
        rclonepool_progress progress{};
        progress.struct_size = sizeof progress;
        rclonepool_op_progress(op_.get(), &progress, nullptr);
        return progress;
    }
    /** Waits so many milliseconds at most (below 0: for ever), hands over events, and says whether it has ended. */
    Result<bool> wait(std::int64_t timeout_ms = -1, const OnEvent &on_event = nullptr) const {
        detail::Callback callback(on_event);
        auto userdata = static_cast<void *>(&callback);
        auto done = detail::fetch<std::int32_t>(rclonepool_op_wait, op_.get(), timeout_ms, callback.function(), userdata);
        callback.rethrow();
        return done ? Result<bool>(*done != 0) : Result<bool>(std::move(done.error()));
    }
    /** Asks it to stop. */
    void cancel() const { rclonepool_op_cancel(op_.get()); }
    /** Takes its report, once, when it has ended. */
    Result<Report> take() const { return detail::make<Report, rclonepool_report>(rclonepool_op_take, op_.get()); }
    /** Takes its plan, once, when it has ended. */
    Result<Plan> take_plan() const {
        return detail::make<Plan, rclonepool_plan>(rclonepool_op_take_plan, op_.get());
    }
    /** The handle for the C API. */
    [[nodiscard]] const rclonepool_op *capi() const { return op_.get(); }

private:
    detail::Owner<rclonepool_op, rclonepool_op_free> op_;
};

/** An open pool; closed when it is destroyed. */
class Pool {
public:
    /** Takes over a pool. */
    explicit Pool(rclonepool_pool *pool = nullptr) : pool_(pool) {}
    /** Opens the pool of a configuration file. */
    static Result<Pool> open(const std::string &config_file, const Options &options = Options()) {
        return detail::make<Pool, rclonepool_pool>(rclonepool_pool_open, config_file.c_str(), options.capi());
    }
    /** Opens the pool of a configuration in memory. */
    static Result<Pool> open_json(const std::string &config, const Options &options = Options()) {
        return detail::make<Pool, rclonepool_pool>(rclonepool_pool_open_json, config.c_str(), options.capi());
    }
    /** Makes the pool of a configuration in memory. */
    static Result<Report> init_json(const std::string &config, const Options &options = Options()) {
        return detail::make<Report, rclonepool_report>(rclonepool_init_json, config.c_str(), options.capi());
    }
    /** Lists the remotes anew. */
    Result<Done> refresh() const { return detail::done(rclonepool_pool_refresh, capi()); }
    /** Closes it, and says whether that went well. */
    Result<Done> close() const { return detail::done(rclonepool_pool_close, capi()); }

    /** What lies at a path. */
    Result<Entry> stat(const std::string &path) const {
        return detail::make<Entry, rclonepool_entry>(rclonepool_stat, capi(), path.c_str());
    }
    /** What lies in a directory. */
    Result<List> list(const std::string &directory, const Options &options = Options()) const {
        return detail::make<List, rclonepool_list>(rclonepool_list_open, capi(), directory.c_str(), options.capi());
    }
    /** Makes a directory. */
    Result<Done> mkdir(const std::string &path) const { return detail::done(rclonepool_mkdir, capi(), path.c_str()); }
    /** Deletes. */
    Result<Report> remove(const std::string &path, const Options &options = Options()) const {
        return detail::make<Report, rclonepool_report>(rclonepool_delete, capi(), path.c_str(), options.capi());
    }
    /** Moves. */
    Result<Report> rename(const std::string &from, const std::string &to, const Options &options = Options()) const {
        return detail::make<Report, rclonepool_report>(rclonepool_rename, capi(), from.c_str(), to.c_str(), options.capi());
    }
    /** Copies. */
    Result<Report> copy(const std::string &from, const std::string &to, const Options &options = Options()) const {
        return detail::make<Report, rclonepool_report>(rclonepool_copy, capi(), from.c_str(), to.c_str(), options.capi());
    }
    /** Brings back from the trash. */
    Result<Report> restore(const std::string &path, const Options &options = Options()) const {
        return detail::make<Report, rclonepool_report>(rclonepool_restore, capi(), path.c_str(), options.capi());
    }
    /** What lies in the trash: a list, the newest version of a path first. */
    Result<Report> trash(const Options &options = Options()) const {
        return detail::make<Report, rclonepool_report>(rclonepool_trash, capi(), options.capi());
    }
    /** Empties the trash: what was in it cannot be brought back. */
    Result<Report> empty_trash(const Options &options = Options()) const {
        return detail::make<Report, rclonepool_report>(rclonepool_trash_empty, capi(), options.capi());
    }
    /** Where the shards of a file lie. */
    Result<Report> layout(const std::string &path) const {
        return detail::make<Report, rclonepool_report>(rclonepool_layout, capi(), path.c_str());
    }
    /** Stores bytes as a file. */
    Result<Report> put(const std::string &path, Bytes bytes, const Options &options = Options()) const {
        return detail::make<Report, rclonepool_report>(rclonepool_put, capi(), path.c_str(), bytes.data(), bytes.size(), options.capi());
    }
    /** Reads a whole file into memory. */
    Result<Buffer> get(const std::string &path) const {
        return detail::make<Buffer, rclonepool_buffer>(rclonepool_get, capi(), path.c_str());
    }
    /** Opens a file for reading. */
    Result<Reader> reader(const std::string &path) const {
        return detail::make<Reader, rclonepool_reader>(rclonepool_reader_open, capi(), path.c_str());
    }
    /** Begins to write a file. */
    Result<Writer> writer(const std::string &path, const Options &options = Options()) const {
        return detail::make<Writer, rclonepool_writer>(rclonepool_writer_open, capi(), path.c_str(), options.capi());
    }

    /** Stores a local file or directory. */
    Result<Report> upload(const std::string &local, const std::string &path, const Options &options = Options(),
                          const OnEvent &on_event = nullptr) const {
        return run(rclonepool_upload, on_event, local.c_str(), path.c_str(), options.capi());
    }
    /** Begins to store a local file or directory. */
    Result<Operation> start_upload(const std::string &local, const std::string &path,
                                   const Options &options = Options()) const {
        return start(rclonepool_upload_start, local.c_str(), path.c_str(), options.capi());
    }
    /** Writes a file or directory of the pool to the local disk. */
    Result<Report> download(const std::string &path, const std::string &local, const Options &options = Options(),
                            const OnEvent &on_event = nullptr) const {
        return run(rclonepool_download, on_event, path.c_str(), local.c_str(), options.capi());
    }
    /** Begins to write a file or directory of the pool to the local disk. */
    Result<Operation> start_download(const std::string &path, const std::string &local,
                                     const Options &options = Options()) const {
        return start(rclonepool_download_start, path.c_str(), local.c_str(), options.capi());
    }
    /** The pool at a glance. */
    Result<Report> status() const { return run(rclonepool_pool_status, nullptr); }
    /** As status(), in the background. */
    Result<Operation> start_status() const { return start(rclonepool_pool_status_start); }
    /** Whether the remotes hold what they should. */
    Result<Report> verify(const Options &options = Options(), const OnEvent &on_event = nullptr) const {
        return run(rclonepool_verify, on_event, options.capi());
    }
    /** As verify(), in the background. */
    Result<Operation> start_verify(const Options &options = Options()) const {
        return start(rclonepool_verify_start, options.capi());
    }
    /** What every file survives. */
    Result<Report> health(const Options &options = Options()) const {
        return run(rclonepool_health, nullptr, options.capi());
    }
    /** As health(), in the background. */
    Result<Operation> start_health(const Options &options = Options()) const {
        return start(rclonepool_health_start, options.capi());
    }
    /** What lies on the remotes that nobody needs; changes nothing there. */
    Result<Report> orphans(const Options &options = Options(), const OnEvent &on_event = nullptr) const {
        return run(rclonepool_orphans, on_event, options.capi());
    }
    /** As orphans(), in the background. */
    Result<Operation> start_orphans(const Options &options = Options()) const {
        return start(rclonepool_orphans_start, options.capi());
    }
    /** Frees what nobody needs. */
    Result<Report> gc(const Options &options = Options(), const OnEvent &on_event = nullptr) const {
        return run(rclonepool_gc, on_event, options.capi());
    }
    /** As gc(), in the background. */
    Result<Operation> start_gc(const Options &options = Options()) const {
        return start(rclonepool_gc_start, options.capi());
    }
    /** Puts the missing and damaged shards of a file anew from a local copy of it. */
    Result<Report> repair(const std::string &path, const std::string &local, const Options &options = Options(),
                          const OnEvent &on_event = nullptr) const {
        return run(rclonepool_repair, on_event, path.c_str(), local.c_str(), options.capi());
    }
    /** As repair(), in the background. */
    Result<Operation> start_repair(const std::string &path, const std::string &local,
                                   const Options &options = Options()) const {
        return start(rclonepool_repair_start, path.c_str(), local.c_str(), options.capi());
    }
    /** What is missing or damaged. */
    Result<Plan> plan_rebuild(const Options &options = Options()) const {
        return run<Plan, rclonepool_plan>(rclonepool_rebuild_plan, nullptr, options.capi());
    }
    /** As plan_rebuild(), in the background; the operation gives the plan. */
    Result<Operation> start_plan_rebuild(const Options &options = Options()) const {
        return start(rclonepool_rebuild_plan_start, options.capi());
    }
    /** What to move so that remotes are filled alike. */
    Result<Plan> plan_rebalance(double target) const {
        return run<Plan, rclonepool_plan>(rclonepool_rebalance_plan, nullptr, target);
    }
    /** As plan_rebalance(), in the background; the operation gives the plan. */
    Result<Operation> start_plan_rebalance(double target) const {
        return start(rclonepool_rebalance_plan_start, target);
    }
    /** What has another redundancy than "replication:3", "parity:4+2" or the like. */
    Result<Plan> plan_convert(const std::string &path, const std::string &redundancy) const {
        return run<Plan, rclonepool_plan>(rclonepool_convert_plan, nullptr, path.c_str(), redundancy.c_str());
    }
    /** As plan_convert(), in the background; the operation gives the plan. */
    Result<Operation> start_plan_convert(const std::string &path, const std::string &redundancy) const {
        return start(rclonepool_convert_plan_start, path.c_str(), redundancy.c_str());
    }
    /** What it takes to empty a remote, after which it leaves the pool. */
    Result<Plan> plan_drain(const std::string &remote, const Options &options = Options()) const {
        return run<Plan, rclonepool_plan>(rclonepool_drain_plan, nullptr, remote.c_str(), options.capi());
    }
    /** As plan_drain(), in the background; the operation gives the plan. */
    Result<Operation> start_plan_drain(const std::string &remote, const Options &options = Options()) const {
        return start(rclonepool_drain_plan_start, remote.c_str(), options.capi());
    }
    /** What it means to give remotes up for lost; performed, they leave the pool for ever. */
    Result<Plan> plan_loss(const std::vector<std::string> &remotes) const {
        auto names = detail::pointers(remotes);
        return run<Plan, rclonepool_plan>(rclonepool_loss_plan, nullptr, names.data(), names.size());
    }
    /** As plan_loss(), in the background; the operation gives the plan. */
    Result<Operation> start_plan_loss(const std::vector<std::string> &remotes) const {
        auto names = detail::pointers(remotes);
        return start(rclonepool_loss_plan_start, names.data(), names.size());
    }
    /** Does what a plan says. */
    Result<Report> perform(const Plan &plan, const OnEvent &on_event = nullptr) const {
        return run(rclonepool_plan_perform, on_event, plan.capi());
    }
    /** As perform(), in the background; the plan need not stay. */
    Result<Operation> start_perform(const Plan &plan) const {
        return start(rclonepool_plan_perform_start, plan.capi());
    }
    /** Watches over the pool, and tells by the operation's events. */
    Result<Operation> start_watch() const { return start(rclonepool_watch_start); }
    /** The handle for the C API. */
    [[nodiscard]] const rclonepool_pool *capi() const { return pool_.get(); }

private:
    template <typename T = Report, typename Handle = rclonepool_report, typename Call, typename... Args>
    Result<T> run(Call call, const OnEvent &on_event, Args... args) const {
        detail::Callback callback(on_event);
        auto made = detail::make<T, Handle>(call, capi(), args..., callback.function(), static_cast<void *>(&callback));
        callback.rethrow();
        return made;
    }
    template <typename Call, typename... Args> Result<Operation> start(Call call, Args... args) const {
        return detail::make<Operation, rclonepool_op>(call, capi(), args...);
    }
    detail::Owner<rclonepool_pool, rclonepool_pool_free> pool_;
};

} // namespace rclonepool

#endif
