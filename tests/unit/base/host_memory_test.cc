// What the host lends, with and without a limit of the process's group.
#include "base/host_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace tessera {
namespace {

class HostMemoryTest : public ::testing::Test {
 protected:
  ~HostMemoryTest() override { std::filesystem::remove(file_); }
  Bytes with_limit(const char* text) const {
    std::ofstream(file_) << text;
    return host_memory(file_);
  }
  const std::filesystem::path file_ =
      std::filesystem::path(::testing::TempDir()) / ("memory.max." + std::to_string(::getpid()));
};

TEST_F(HostMemoryTest, IsAllOfItWithoutALimit) {
  const Bytes all = host_memory("/nowhere/memory.max");
  EXPECT_GT(all.value, std::uint64_t{64} << 20);
  EXPECT_EQ(with_limit("max\n").value, all.value);
  EXPECT_EQ(with_limit("").value, all.value);
  EXPECT_EQ(with_limit("9223372036854771712\n").value, all.value) << "more than there is";
}

TEST_F(HostMemoryTest, IsWhatTheGroupMayHave) { EXPECT_EQ(with_limit("33554432\n").value, 33'554'432U); }

}  // namespace
}  // namespace tessera
