// A second translation unit with the header, for wrapper.cpp.
#include <rclonepool.hpp>

std::size_t size_elsewhere(const rclonepool::Pool &pool, const std::string &path);

std::size_t size_elsewhere(const rclonepool::Pool &pool, const std::string &path) {
    auto bytes = pool.get(path);
    return bytes ? bytes->size() : 0;
}
