// What rclonepool.hpp promises. Usage: wrapper DIRECTORY
#include <rclonepool.hpp>
#include <rclonepool.hpp> // twice is once

#include "check.h"

#include <stdexcept>
#include <type_traits>

static_assert(!std::is_copy_constructible<rclonepool::Pool>::value, "owners are not copied");
static_assert(std::is_nothrow_move_constructible<rclonepool::Pool>::value, "owners are moved");
static_assert(!std::is_copy_constructible<rclonepool::Report>::value, "owners are not copied");

// In another translation unit, which includes the header, too.
std::size_t size_elsewhere(const rclonepool::Pool &pool, const std::string &path);

static void test_results(const rclonepool::Pool &pool) {
    auto missing = pool.stat("/no");
    CHECK(!missing && missing.error().status() == RCLONEPOOL_STATUS_NOT_FOUND);
    CHECK(missing.error().path() == "/no" && !missing.error().retryable());
    rclonepool::Result<rclonepool::Done> done = pool.mkdir("/made");
    CHECK(done.ok());
#if defined(__cpp_exceptions)
    bool thrown = false;
    try {
        (void)pool.stat("/no").value();
    } catch (const rclonepool::Exception &exception) {
        auto copy = exception;
        thrown = copy.error().status() == RCLONEPOOL_STATUS_NOT_FOUND && std::string(copy.what()).find("/no") == 0;
    }
    CHECK(thrown);
#endif
    // A set that fails is not forgotten.
    rclonepool::Options wrong;
    wrong.workers(0);
    CHECK(!wrong.ok());
    auto refused = pool.list("/", wrong);
    CHECK(!refused && refused.error().status() == RCLONEPOOL_STATUS_INVALID_ARGUMENT);
}

static void test_files(const rclonepool::Pool &pool) {
    const std::vector<unsigned char> bytes(300000, 'x');
    CHECK(pool.put("/cpp/text", std::string("hello"), rclonepool::Options().content_type("text/plain")).ok());
    auto stored = pool.put("/cpp/bytes", bytes);
    CHECK(stored.ok() && *stored->integer("/bytes") == 300000);
    auto text = pool.get("/cpp/text");
    CHECK(text.ok() && text->text() == "hello" && size_elsewhere(pool, "/cpp/bytes") == bytes.size());
    auto entry = pool.stat("/cpp/text");
    CHECK(entry.ok() && entry->content_type() == "text/plain" && entry->size() == 5 && !entry->is_directory());
    auto list = pool.list("/", rclonepool::Options().recursive());
    CHECK(list.ok());
    std::string names;
    for (const auto &found : *list) {
        names += std::string(found.path()) + " ";
    }
    CHECK(list->ok() && names == "/cpp/bytes /cpp/text /made ");

    auto reader = pool.reader("/cpp/bytes");
    std::vector<char> buffer(400000);
    CHECK(reader.ok() && reader->size() == bytes.size());
    CHECK(*reader->read(buffer.data(), buffer.size()) == bytes.size());
    CHECK(*reader->seek(-1, RCLONEPOOL_WHENCE_END) == bytes.size() - 1);
    CHECK(*reader->pread(10, buffer.data(), 20) == 20 && buffer[0] == 'x');

    auto writer = pool.writer("/cpp/written");
    CHECK(writer.ok());
    rclonepool::Writer moved = std::move(*writer);
    CHECK(moved.write(std::string_view("abc")).ok() && moved.write(bytes).ok() && moved.commit().ok());
    CHECK(pool.stat("/cpp/written")->size() == bytes.size() + 3);
    {
        auto aborted = pool.writer("/cpp/aborted");
        CHECK(aborted.ok() && aborted->write(std::string("abc")).ok());
    }
    CHECK(!pool.stat("/cpp/aborted"));
    CHECK(pool.rename("/cpp/written", "/cpp/moved").ok() && pool.remove("/cpp/moved").ok());
    CHECK(pool.restore("/cpp/moved").ok());
    CHECK(pool.copy("/cpp/text", "/cpp/copy").ok() && pool.get("/cpp/copy")->text() == "hello");
    CHECK(!pool.copy("/cpp/text", "/cpp/copy") && pool.copy("/cpp/text", "/cpp/copy", rclonepool::Options().overwrite()));
}

static void test_operations(const rclonepool::Pool &pool, const std::string &scratch) {
    const std::string local = scratch + "/local";
    std::FILE *file = std::fopen(local.c_str(), "wb");
    CHECK(file != nullptr);
    for (unsigned at = 0; at < 4000000; at++) {
        std::fputc(static_cast<int>(at * at >> 7 & 255), file);
    }
    CHECK(std::fclose(file) == 0);
    int events = 0;
    auto count = [&](const rclonepool_event &) { return ++events > 0; };
    CHECK(pool.upload(local, "/ops/a", {}, count).ok() && events > 0);
    auto cancelled = pool.upload(local, "/ops/b", {}, [](const rclonepool_event &) { return false; });
    CHECK(!cancelled && cancelled.error().status() == RCLONEPOOL_STATUS_CANCELLED);
#if defined(__cpp_exceptions)
    bool thrown = false;
    try {
        auto never = pool.upload(local, "/ops/c", {}, [](const rclonepool_event &) -> bool {
            throw std::runtime_error("out of the callback");
        });
        CHECK(!never.ok());
    } catch (const std::runtime_error &error) {
        thrown = std::string(error.what()) == "out of the callback";
    }
    CHECK(thrown && !pool.stat("/ops/c"));
#endif
    auto op = pool.start_download("/ops/a", scratch + "/back");
    CHECK(op.ok());
    while (!*op->wait(10, count)) {
    }
    CHECK(op->is_done() && op->progress().bytes_done == 4000000 && op->take().ok() && !op->take());
    {
        auto watch = pool.start_watch();
        CHECK(watch.ok() && watch->wait(0).ok());
    }
    // Whatever is still on its way to a slow remote is there then.
    CHECK(pool.refresh().ok());
    CHECK(*pool.status()->integer("/complete_view") == 1 && pool.status()->real("/tolerated").ok());
    CHECK(pool.verify(rclonepool::Options().level(RCLONEPOOL_LEVEL_DEEP))->status() == RCLONEPOOL_STATUS_OK);
    CHECK(std::string(*pool.health()->text("/state")) == "healthy" && *pool.health()->length("/remotes") == 3);
    auto plan = pool.plan_rebuild(rclonepool::Options().all());
    CHECK(plan.ok() && *plan->report().integer("/write_bytes") == 0 && pool.perform(*plan).ok());
    CHECK(pool.plan_rebalance(5).ok() && pool.gc().ok() && pool.layout("/ops/a").ok());
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    rclonepool::Pool pool(open_pool(argv[1]));
    test_results(pool);
    test_files(pool);
    test_operations(pool, argv[1]);
    CHECK(pool.refresh().ok() && pool.close().ok() && !pool.stat("/"));
    std::puts("wrapper: all is as promised");
    return 0;
}
