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

static void test_trash(const rclonepool::Pool &pool) {
    CHECK(pool.put("/trash/a", std::string("1")).ok() && pool.put("/trash/b", std::string("2")).ok());
    CHECK(pool.remove("/trash", rclonepool::Options().recursive()).ok());
    auto below = rclonepool::Options();
    below.path("/trash");
    auto trash = pool.trash(below);
    CHECK(trash.ok() && *trash->length("") == 2 && std::string(*trash->text("/0/path")) == "/trash/a");
    auto back = rclonepool::Options();
    back.version(*trash->text("/0/version")).to("/trash/back");
    CHECK(pool.restore("/trash/a", back).ok() && pool.get("/trash/back")->text() == "1");
    CHECK(*pool.empty_trash(below)->integer("/versions") >= 1);
    CHECK(*pool.trash(below)->length("") == 0 && !pool.restore("/trash/b"));
}

// Waits for an operation that began, and gives it back.
static rclonepool::Operation ended(rclonepool::Result<rclonepool::Operation> op) {
    CHECK(op.ok() && *op->wait());
    return std::move(*op);
}

static void remove_file(const std::string &what) { CHECK(std::system(("find " + what + " -delete").c_str()) == 0); }

static void test_care(const rclonepool::Pool &pool, const std::string &scratch) {
    const std::string local = scratch + "/local";
    CHECK(pool.refresh().ok());
    // Both copies of a file go: only who has the file can help.
    CHECK(pool.upload(local, "/care/a", rclonepool::Options().force()).ok());
    auto layout = pool.layout("/care/a");
    CHECK(layout.ok());
    const std::string object = *layout->text("/chunks/0/chunk");
    remove_file(scratch + "/[abc]/rclonepool_data -name '*" + object + "*'");
    auto checked = pool.repair("/care/a", local, rclonepool::Options().dry_run());
    CHECK(checked.ok() && *checked->length("/damaged") == 2 && *checked->integer("/rebuilt/shards") == 0);
    CHECK(pool.repair("/care/a", local)->status() == RCLONEPOOL_STATUS_OK);
    CHECK(*ended(pool.start_repair("/care/a", local)).take()->length("/damaged") == 0);
    CHECK(pool.get("/care/a")->size() == 4000000);

    auto orphans = pool.orphans();
    CHECK(orphans.ok() && orphans->length("/orphans").ok());
    CHECK(ended(pool.start_orphans(rclonepool::Options().min_age_ms(1000))).take()->length("/orphans").ok());
    CHECK(*ended(pool.start_gc()).take()->integer("/marked") >= 0);
    CHECK(*ended(pool.start_status()).take()->integer("/tolerated") == 1);
    CHECK(ended(pool.start_verify(rclonepool::Options().level(RCLONEPOOL_LEVEL_DEEP).sample(100000).list(5))).take().ok());
    auto lost = rclonepool::Options();
    lost.lost(scratch + "/a").lost(scratch + "/b");
    CHECK(*ended(pool.start_health(lost)).take()->integer("/recoverable") == 0);
    CHECK(ended(pool.start_plan_rebuild(rclonepool::Options().all().accept_loss())).take_plan().ok());
    CHECK(ended(pool.start_plan_rebalance(5)).take_plan().ok());

    auto convert = pool.plan_convert("/care/a", "replication:3");
    CHECK(convert.ok() && *convert->report().integer("/files") == 1);
    CHECK(*ended(pool.start_perform(*convert)).take()->integer("/chunks") > 0);
    CHECK(*ended(pool.start_plan_convert("/care/a", "replication:3")).take_plan()->report().integer("/files") == 0);
    CHECK(!pool.plan_convert("/care/a", "replication:x"));
}

// One remote is emptied and leaves, another one is lost: the third has all there is.
static void test_leaving(const std::string &scratch) {
    CHECK(mkdir(scratch.c_str(), 0777) == 0);
    rclonepool::Pool pool(open_pool(scratch.c_str()));
    const std::vector<char> bytes(3000000, 'y');
    CHECK(pool.put("/kept", bytes).ok() && pool.refresh().ok());
    auto options = rclonepool::Options();
    options.alone().force();
    auto plan = pool.plan_drain(scratch + "/c", options);
    CHECK(plan.ok() && *plan->report().integer("/shards") > 0);
    CHECK(ended(pool.start_plan_drain(scratch + "/c")).take_plan().ok());
    auto unknown = pool.plan_drain("no:");
    CHECK(!unknown && unknown.error().status() == RCLONEPOOL_STATUS_NOT_FOUND);
    auto drained = pool.perform(*plan);
    CHECK(drained.ok() && *drained->integer("/left") == 0);
    CHECK(std::string(*drained->text("/change/state")) == "removed");

    remove_file(scratch + "/b -mindepth 1");
    CHECK(pool.refresh().ok());
    auto loss = pool.plan_loss({scratch + "/b"});
    CHECK(loss.ok() && *loss->report().integer("/left") == 1 && *loss->report().integer("/unreadable") == 0);
    CHECK(*ended(pool.start_plan_loss({scratch + "/b"})).take_plan()->report().integer("/shards") > 0);
    CHECK(!pool.plan_loss({}) && !pool.plan_loss({"no:"}));
    CHECK(*pool.perform(*loss)->length("/removed") == 1);
    CHECK(pool.get("/kept")->size() == bytes.size());
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    rclonepool::Pool pool(open_pool(argv[1]));
    test_results(pool);
    test_files(pool);
    test_operations(pool, argv[1]);
    test_trash(pool);
    test_care(pool, argv[1]);
    test_leaving(std::string(argv[1]) + "/leaving");
    CHECK(pool.refresh().ok() && pool.close().ok() && !pool.stat("/"));
    std::puts("wrapper: all is as promised");
    return 0;
}
