#include "server/shared_memory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <thread>

namespace tessera::server {
namespace {

// A shared memory object of the peer's.
class Object {
 public:
  explicit Object(std::size_t size, int number = 0)
      : key_("/tessera_shm_test_" + std::to_string(::getpid()) + "_" + std::to_string(number)),
        fd_(::shm_open(key_.c_str(), O_CREAT | O_RDWR, 0600)) {
    EXPECT_GE(fd_, 0);
    resize(size);
  }
  ~Object() {
    ::close(fd_);
    ::shm_unlink(key_.c_str());
  }
  void resize(std::size_t size) { EXPECT_EQ(::ftruncate(fd_, static_cast<off_t>(size)), 0); }
  void write(std::string_view text, std::size_t at) {
    EXPECT_EQ(::pwrite(fd_, text.data(), text.size(), static_cast<off_t>(at)), static_cast<ssize_t>(text.size()));
  }
  std::string read(std::size_t at, std::size_t size) {
    std::string text(size, '\0');
    EXPECT_EQ(::pread(fd_, text.data(), size, static_cast<off_t>(at)), static_cast<ssize_t>(size));
    return text;
  }
  const std::string& key() const { return key_; }

 private:
  const std::string key_;
  const int fd_;
};

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(SharedMemory, GivesViewsOfARegion) {
  Object object(20'000);
  object.write("hello", 5000);
  SharedMemory memory;
  ASSERT_TRUE(memory.register_region("r", object.key(), 4990, 100).ok());
  const auto view = memory.view({"r", 10, 5});
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(text_of(view->bytes), "hello");
  std::memcpy(view->bytes.data(), "HELLO", 5);
  EXPECT_EQ(object.read(5000, 5), "HELLO");
  EXPECT_TRUE(memory.view({"r", 100, 0}).ok());
  EXPECT_TRUE(memory.view({"r", 0, 100}).ok());
}

TEST(SharedMemory, KeepsToTheRegion) {
  Object object(4096);
  SharedMemory memory;
  ASSERT_TRUE(memory.register_region("r", object.key().substr(1), 0, 100).ok());  // the '/' in front is optional
  for (const SharedMemoryRange& range :
       {SharedMemoryRange{"r", 0, 101}, SharedMemoryRange{"r", 100, 1}, SharedMemoryRange{"r", 101, 0},
        SharedMemoryRange{"r", UINT64_MAX, 1}, SharedMemoryRange{"r", 1, UINT64_MAX}}) {
    const auto view = memory.view(range);
    ASSERT_FALSE(view.ok());
    EXPECT_EQ(view.error().code(), ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(memory.view({"x", 0, 1}).error().code(), ErrorCode::kNotFound);
}

TEST(SharedMemory, KeepsToTheObject) {
  Object object(4096);
  SharedMemory memory;
  for (const auto& [offset, size] : {std::pair<std::uint64_t, std::uint64_t>{0, 4097},
                                     {4096, 1},
                                     {UINT64_MAX, 2},
                                     {1, UINT64_MAX},
                                     {std::uint64_t{1} << 63, std::uint64_t{1} << 63},
                                     {0, 0}}) {
    const Status status = memory.register_region("r", object.key(), offset, size);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().message(), "Invalid offset + byte size for shared memory region: 'r'");
  }
  ASSERT_TRUE(memory.register_region("r", object.key(), 0, 4096).ok());
  object.resize(1000);  // the peer cuts it: an error, not a fault
  EXPECT_EQ(memory.view({"r", 0, 4096}).error().code(), ErrorCode::kInvalidArgument);
}

TEST(SharedMemory, ConfinesKeys) {
  SharedMemory memory;
  for (const std::string_view key :
       {"", "/", "..", "/..", ".", "/../etc/passwd", "/a/b", "//a", "/a/../../etc/passwd"}) {
    const Status status = memory.register_region("r", key, 0, 1);
    ASSERT_FALSE(status.ok()) << key;
    EXPECT_EQ(status.error().code(), ErrorCode::kInvalidArgument) << key;
  }
  EXPECT_FALSE(memory.register_region("r", std::string("/a\0b", 4), 0, 1).ok());
  const Status missing = memory.register_region("r", "/tessera_no_such_object", 0, 1);
  EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(missing.error().message(), "Unable to open shared memory region: 'r'");
  const std::string link = "tessera_link_" + std::to_string(::getpid());
  ASSERT_EQ(::symlink("/etc/passwd", ("/dev/shm/" + link).c_str()), 0);
  EXPECT_FALSE(memory.register_region("r", link, 0, 1).ok());
  ::unlink(("/dev/shm/" + link).c_str());
}

TEST(SharedMemory, ListsAndForgets) {
  Object object(4096);
  SharedMemory memory;
  ASSERT_TRUE(memory.register_region("b", object.key(), 8, 16).ok());
  ASSERT_TRUE(memory.register_region("a", object.key(), 0, 8).ok());
  const Status again = memory.register_region("a", object.key(), 0, 8);
  EXPECT_EQ(again.error().code(), ErrorCode::kAlreadyExists);
  EXPECT_EQ(again.error().message(), "shared memory region 'a' already in manager");
  ASSERT_EQ(memory.status().size(), 2U);
  EXPECT_EQ(memory.status()[0].name, "a");
  const auto one = memory.status("b");
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->at(0).offset, 8U);
  EXPECT_EQ(one->at(0).byte_size, 16U);
  EXPECT_EQ(memory.status("c").error().message(), "Unable to find system shared memory region: 'c'");
  memory.unregister("c");
  memory.unregister("a");
  EXPECT_EQ(memory.status().size(), 1U);
  memory.unregister_all();
  EXPECT_TRUE(memory.status().empty());
}

TEST(SharedMemory, StaysMappedWhileItIsUsed) {
  Object object(4096);
  object.write("hello", 0);
  SharedMemory memory;
  ASSERT_TRUE(memory.register_region("r", object.key(), 0, 5).ok());
  const auto view = memory.view({"r", 0, 5});
  memory.unregister("r");
  EXPECT_FALSE(memory.view({"r", 0, 5}).ok());
  ASSERT_TRUE(memory.register_region("r", object.key(), 0, 5).ok());  // the name is free at once
  EXPECT_EQ(text_of(view->bytes), "hello");
}

TEST(SharedMemory, CopiesTextThatIsCheckedBeforeItIsUsed) {
  Object object(4096);
  object.write("hello", 0);
  SharedMemory memory;
  ASSERT_TRUE(memory.register_region("r", object.key(), 0, 5).ok());
  const auto text = memory.view_input({"r", 0, 5}, DType::kBytes);
  const auto numbers = memory.view_input({"r", 0, 5}, DType::kUint8);
  object.write("HELLO", 0);
  EXPECT_EQ(text_of(text->bytes), "hello");
  EXPECT_EQ(text_of(numbers->bytes), "HELLO");
}

TEST(SharedMemory, HasLimits) {
  Object object(4096);
  SharedMemoryLimits limits;
  limits.max_regions = 2;
  limits.max_total = Bytes{5000};
  limits.max_name_bytes = 3;
  SharedMemory memory(limits);
  EXPECT_FALSE(memory.register_region("", object.key(), 0, 1).ok());
  EXPECT_FALSE(memory.register_region("long", object.key(), 0, 1).ok());
  ASSERT_TRUE(memory.register_region("a", object.key(), 0, 4000).ok());
  EXPECT_EQ(memory.register_region("b", object.key(), 0, 4000).error().code(), ErrorCode::kResourceExhausted);
  ASSERT_TRUE(memory.register_region("b", object.key(), 0, 1000).ok());
  EXPECT_EQ(memory.register_region("c", object.key(), 0, 1).error().code(), ErrorCode::kResourceExhausted);
}

TEST(SharedMemory, ServesManyThreads) {
  Object object(4096);
  SharedMemory memory;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&memory, &object, t] {
      const std::string name = std::to_string(t % 2);
      for (int i = 0; i < 200; ++i) {
        static_cast<void>(memory.register_region(name, object.key(), 0, 4096));
        if (const auto view = memory.view({name, 0, 1}); view.ok()) {
          EXPECT_EQ(view->bytes.size(), 1U);
        }
        memory.unregister(name);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace
}  // namespace tessera::server
