// Copies a file into the pool or out of it, with a progress bar.
//
//   copy_file CONFIG LOCAL pool:/path      copy_file CONFIG pool:/path LOCAL
//
// c++ -std=c++17 copy_file.cpp $(pkg-config --cflags --libs rclonepool) -o copy_file
#include <rclonepool.hpp>

#include <cstdio>
#include <string>

namespace {

const std::string prefix = "pool:";

bool is_in_pool(const std::string &name) { return name.compare(0, prefix.size(), prefix) == 0; }

bool draw(const rclonepool_event &event) {
    if (event.kind == RCLONEPOOL_EVENT_KIND_NOTICE) {
        std::fprintf(stderr, "\n%s\n", event.text);
    }
    if (event.bytes_total == 0) {
        return true;
    }
    const int width = 40;
    const double part = static_cast<double>(event.bytes_done) / static_cast<double>(event.bytes_total);
    const int full = static_cast<int>(part * width);
    std::fprintf(stderr, "\r[%s%s] %3.0f %%", std::string(full, '#').c_str(), std::string(width - full, ' ').c_str(),
                 part * 100);
    return true; // false cancels
}

} // namespace

int main(int argc, char **argv) try {
    if (argc != 4 || is_in_pool(argv[2]) == is_in_pool(argv[3])) {
        std::fprintf(stderr, "usage: %s CONFIG FROM TO, one of FROM and TO being pool:/path\n", argv[0]);
        return 2;
    }
    const std::string from = argv[2], to = argv[3];
    // So that rclone finds its configuration.
    const auto pool = rclonepool::Pool::open(argv[1], rclonepool::Options().inherit_env()).value();
    const auto done = is_in_pool(from) ? pool.download(from.substr(prefix.size()), to, {}, draw).value()
                                       : pool.upload(from, to.substr(prefix.size()), {}, draw).value();
    std::fprintf(stderr, "\n%lld bytes copied\n", static_cast<long long>(done.integer("/bytes").value()));
    return 0;
} catch (const rclonepool::Exception &failure) {
    std::fprintf(stderr, "\n%s\n", failure.what());
    return 1;
}
